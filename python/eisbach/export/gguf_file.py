"""The file that llama.cpp loads, written by the `gguf` library."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eisbach.arguments import takes
from eisbach.config.model import ModelSection
from eisbach.data.beside import TEMPLATE
from eisbach.data.chats import turn_ends
from eisbach.export.dtypes import cast
from eisbach.export.families import FAMILIES
from eisbach.export.gguf_vocabulary import Vocabulary, vocabulary
from eisbach.export.tokenizer_files import tokenizer_files
from eisbach.files import create, make_folder

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from eisbach.data.tokenizer import Tokenizer


def _refuse_what_llama_cpp_lacks(model: ModelSection) -> None:
    """Raises ValueError for choices that its families here do not have."""
    own = getattr(FAMILIES[model.family], "gguf_says", ())
    for name in ("attention_scale", "attention_cap", "final_cap"):
        if getattr(model, name) != 0 and name not in own:
            raise ValueError(
                f"model.{name}={getattr(model, name)}: llama.cpp takes 0 for "
                f"{model.family}"
            )
    if 0 < model.window < model.context and "window" not in own:
        raise ValueError(
            f"model.window={model.window}: llama.cpp computes {model.family} "
            f"without one; it may be 0 or at least model.context="
            f"{model.context}"
        )


@takes(
    path=(str, os.PathLike), model=ModelSection, parameters=Mapping, dtype=str
)
def write_gguf(
    path: str | os.PathLike[str],
    model: ModelSection,
    parameters: dict[str, NDArray[Any]],
    tokenizer: Tokenizer | None,
    *,
    dtype: str = "f32",
    ends: Sequence[int] | None = None,
) -> list[str]:
    """Writes a model as one GGUF file, which appears complete or not at all.

    Args:
      path: Of the file; its folder is made.
      model: With no `auto`.
      parameters: Logical name to whole array.
      tokenizer: Of the run; None where tokens have no known text.
      dtype: `f32`, `bf16` or `f16`, of the matrices; vectors are f32.
      ends: Token ids that end a text, of which GGUF knows the first; None
        takes the tokenizer's.

    Returns:
      What llama.cpp does with text otherwise than the tokenizer.

    Raises:
      ValueError: `gguf` is not installed, llama.cpp computes the model
        otherwise or cannot make the tokens of this tokenizer, or a weight is
        too large for `dtype`.
    """
    try:
        import gguf
    except ImportError:
        raise ValueError(
            "GGUF needs the library gguf: pip install 'eisbach[gguf]'"
        ) from None
    path = Path(path)
    _refuse_what_llama_cpp_lacks(model)
    family = FAMILIES[model.family]
    files = tokenizer_files(tokenizer, model) if tokenizer else {}
    writer = gguf.GGUFWriter(None, family.GGUF)
    writer.add_name(path.stem)
    writer.add_file_type(
        {
            "f32": gguf.LlamaFileType.ALL_F32,
            "bf16": gguf.LlamaFileType.MOSTLY_BF16,
            "f16": gguf.LlamaFileType.MOSTLY_F16,
        }[dtype]
    )
    writer.add_vocab_size(model.vocab)
    writer.add_context_length(model.context)
    writer.add_embedding_length(model.hidden)
    writer.add_block_count(model.layers)
    writer.add_feed_forward_length(model.ffn_hidden)
    writer.add_head_count(model.heads)
    family.describe_gguf(writer, model)
    remarks = []
    if tokenizer and files:
        found = vocabulary(files["tokenizer.json"], model.vocab)
        remarks = found.remarks
        _add_vocabulary(writer, found)
        end = ends[0] if ends else tokenizer.end_of_document
        _add_special(writer, tokenizer, found.never if end is None else end)
        if turns := [id_ for id_ in turn_ends(tokenizer) if id_ != end]:
            writer.add_eot_token_id(turns[0])
        if template := files.get(TEMPLATE):
            writer.add_chat_template(template)
    else:
        writer.add_tokenizer_model("no_vocab")
    kind = gguf.GGMLQuantizationType[dtype.upper()]
    names = gguf.get_tensor_name_map(
        gguf.MODEL_ARCH[family.GGUF.upper()], model.layers
    )
    theirs = family.to_theirs(parameters, model)
    if take := getattr(family, "take_for_gguf", None):
        take(writer, theirs, model)
    for name, value in theirs.items():
        value = np.asarray(family.for_gguf(name, value, model), np.float32)
        value = np.ascontiguousarray(value)
        to = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if value.ndim > 1:
            cast(name, value, dtype)  # refuses what does not fit
            writer.add_tensor(to, gguf.quantize(value, kind), raw_dtype=kind)
        else:
            writer.add_tensor(to, value)
    _write(writer, path)
    return remarks


def _add_vocabulary(writer: Any, found: Vocabulary) -> None:
    writer.add_tokenizer_model(found.kind)
    writer.add_tokenizer_pre(found.pre)
    writer.add_token_list(found.tokens)
    writer.add_token_types(found.types)
    if found.kind == "gpt2":
        writer.add_token_merges(found.merges)
        return
    writer.add_token_scores(found.scores)
    writer.add_add_space_prefix(found.space)
    if found.unknown is not None:
        writer.add_unk_token_id(found.unknown)


def _add_special(writer: Any, tokenizer: Tokenizer, end: int | None) -> None:
    """Names what begins and ends texts.

    Where nothing does llama.cpp takes token 11, so `end` is then a byte that
    is in no UTF-8, which no text ends at.
    """
    begin = tokenizer.begin_of_document
    if end is not None:
        writer.add_bos_token_id(begin[0] if begin else end)
        writer.add_eos_token_id(end)
    writer.add_add_bos_token(bool(begin))
    writer.add_add_eos_token(False)


def _write(writer: Any, path: Path) -> None:
    make_folder(path.parent)
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    os.close(create(scratch))
    try:
        writer.write_header_to_file(scratch)
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        with scratch.open("rb") as stream:
            os.fsync(stream.fileno())
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)
