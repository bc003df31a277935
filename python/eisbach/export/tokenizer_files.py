"""A tokenizer as files that the Hugging Face ecosystem loads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tokenizers import Tokenizer, processors

from eisbach.data.beside import TEMPLATE
from eisbach.data.byte_level import bytes_tokenizer
from eisbach.data.template_files import default_template
from eisbach.data.tokenizer import BYTES

if TYPE_CHECKING:
    from eisbach.config.model import ModelSection
    from eisbach.data.tokenizer import Tokenizer as RunTokenizer


def tokenizer_files(
    tokenizer: RunTokenizer, model: ModelSection
) -> dict[str, str]:
    """Returns the files of a tokenizer by name.

    `tokenizer.json`, `tokenizer_config.json` and, where conversations have a
    template, `chat_template.jinja` are those of Hugging Face; `documents.json`
    is what `stored_tokenizer` reads besides.

    A text becomes the tokens that the model was trained on: nothing is cut
    off or filled up, and before it stands what began a document. A model of
    more than 256 tokens that are called bytes has no tokenizer, since nobody
    knows what the others are.
    """
    is_bytes = tokenizer.name == BYTES
    if is_bytes and model.vocab != tokenizer.vocab:
        return {}
    text, begin = _as_trained(
        tokenizer.source_text or bytes_tokenizer(),
        tokenizer.begin_of_document,
    )
    described: dict[str, Any] = {
        # The class that takes tokenizer.json as it is, in transformers 4 and 5.
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": model.context,
        "clean_up_tokenization_spaces": False,
    }
    end = tokenizer.end_of_document
    if end is not None:
        described["eos_token"] = Tokenizer.from_str(text).id_to_token(end)
    if begin or end is not None:
        described["bos_token"] = begin[0] if begin else described["eos_token"]
    digest = BYTES if is_bytes else hashlib.sha256(text.encode()).hexdigest()
    rules = {"tokenizer": digest, **asdict(tokenizer.rules)}
    template = default_template(tokenizer)
    return {
        **({TEMPLATE: template} if template else {}),
        "tokenizer.json": text,
        "documents.json": json.dumps(rules, indent=1) + "\n",
        "tokenizer_config.json": json.dumps(described, indent=2) + "\n",
    }


def _as_trained(text: str, begin: Sequence[int]) -> tuple[str, list[str]]:
    """Makes a `tokenizer.json` do what `data prepare` did.

    Returns:
      The file's own text where it does so already, and the names of the
      tokens that begin a document.
    """
    made = Tokenizer.from_str(text)
    names = [made.id_to_token(i) for i in begin]
    bare = made.truncation is None and made.padding is None
    if bare and made.encode("").ids == list(begin):
        return text, names
    made.no_truncation()
    made.no_padding()
    made.post_processor = processors.TemplateProcessing(
        single=[*names, "$A"],
        special_tokens=list(zip(names, begin, strict=True)),
    )
    return made.to_str(pretty=True) + "\n", names
