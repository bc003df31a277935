"""Hugging Face `tokenizer.json` files, read by the `tokenizers` library."""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eisbach.data.byte_level import bytes_tokenizer, spelled
from eisbach.data.decoding import decode_known
from eisbach.data.new_tokens import NewTokens
from eisbach.data.rules import DocumentRules
from eisbach.data.template_files import files_beside, special_tokens
from eisbach.data.tokenizer import BYTES, RuledTokenizer
from eisbach.files import read_regular

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Ids are i32 where a model reads them.
_MOST_VOCAB = 2**31 - 1
# Names under which tokenizers keep the token that ends a document.
_END_NAMES = (
    "<|endoftext|>",
    "<|end_of_text|>",
    "</s>",
    "<eos>",
    "<|end▁of▁sentence|>",
    "[EOS]",
)
# Of a file these concern lists of texts that a model reads side by side, or
# chance: neither belongs to the mapping from a text to its tokens.
_OFF = ("truncation", "padding", "post_processor")

_LOOK = re.compile(r"\(\?<?[=!]")
# What is escaped or in a class stands for itself.
_SIGN = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\{\d*,\}|[()*+]", re.DOTALL)
_BYTE = re.compile("<0x[0-9A-F]{2}>")


class FileTokenizer(RuledTokenizer):
    """The mapping of a `tokenizer.json` from text to tokens.

    `truncation` and `padding` of the file are off, and so is BPE's `dropout`:
    a text has one sequence of tokens, all of it. What the template of the file
    (its post-processor) puts around a text is in the rules.
    """

    def __init__(self, path: str, added: NewTokens | None = None):
        """Reads the file; the rules are those of `choose` without wishes.

        Args:
          path: The `tokenizer.json`, or a folder that holds one; `bytes` for
            that of bytes.
          added: Tokens that it gets besides.

        Raises:
          ValueError: The file is missing or is no tokenizer, or cannot have
            the tokens.
        """
        import tokenizers

        file, content = _found(path)
        self.name = str(file) if file else f"{path} and new tokens"
        with _refuses(f"{path}: no Hugging Face tokenizer.json", Exception):
            theirs = tokenizers.Tokenizer.from_str(content.decode())
        self.source_text = content.decode()
        self.beside = files_beside(file.parent) if file else {}
        self.added = added or NewTokens()
        if self.added:
            theirs = self._add(theirs)
        with _refuses(f"{path}: no Hugging Face tokenizer.json", Exception):
            self._tokenizer = tokenizers.Tokenizer.from_str(
                json.dumps(_mapping(json.loads(self.source_text)))
            )
            self._known = theirs.get_vocab(with_added_tokens=True)
            self._template = _template(theirs)
        self.digest = hashlib.sha256(self.source_text.encode()).hexdigest()
        self._ids = frozenset(self._known.values())
        self.vocab = max(self._ids, default=-1) + 1
        if self.vocab > _MOST_VOCAB:
            raise ValueError(
                f"{path}: token id {self.vocab - 1} is above the largest that "
                f"there can be, {_MOST_VOCAB - 1} (data.tokenizer)"
            )
        self._eos = special_tokens(self.beside).get("eos_token")
        self.with_rules(self.choose())

    def _add(self, theirs: Any) -> Any:
        """Adds the new tokens; returns the library's tokenizer with them."""
        import tokenizers

        known = theirs.get_vocab(with_added_tokens=True)
        of_bytes = isinstance(theirs.decoder, tokenizers.decoders.ByteLevel)
        spell = spelled if of_bytes else str
        self.added.check(known, self.name, spell=spell)
        first = max(known.values(), default=-1) + 1
        self.source_text = self.added.added_to(self.source_text, first)
        self.beside = self.added.beside(self.beside, first)
        with _refuses(f"{self.name}: takes no new tokens", Exception):
            made = tokenizers.Tokenizer.from_str(self.source_text)
        for token, one in self.added.described(first).items():
            if made.token_to_id(one["content"]) != token:
                raise ValueError(
                    f"{self.name}: its ids have gaps, so that new tokens would "
                    "get ids inside (model.add_tokens)"
                )
        return made

    @property
    def first_added(self) -> int:
        """The id of the first new token, or where it would be."""
        return self.vocab - len(self.added)

    def choose(
        self,
        end_of_document: str | None = None,
        begin_of_document: str = "auto",
        special_tokens: str = "text",
    ) -> DocumentRules:
        """Returns rules by the names of tokens; see `load_tokenizer`.

        Raises:
          ValueError: There is no token of such a name.
        """
        before, after = self._template
        if end_of_document:
            end = self._id(end_of_document)
        elif len(after) == 1:
            end = after[0]
        else:
            names = [self._eos, *_END_NAMES]
            end = next(
                (self._known[n] for n in names if n in self._known), None
            )
        if begin_of_document == "auto":
            begin = before
        elif begin_of_document == "none":
            begin = ()
        else:
            begin = (self._id(begin_of_document),)
        if special_tokens not in ("text", "tokens"):
            raise ValueError(
                f"special_tokens={special_tokens} is neither text nor tokens"
            )
        return DocumentRules(end, begin, special_tokens)

    def with_rules(self, rules: DocumentRules) -> FileTokenizer:
        """Sets the rules and returns itself.

        Raises:
          ValueError: A rule names an id outside the vocabulary.
        """
        for token in (rules.end_of_document, *rules.begin_of_document):
            if token is not None and not 0 <= token < self.vocab:
                raise ValueError(
                    f"{self.name}: token {token}, which begins or ends the "
                    f"documents, is outside its vocabulary of {self.vocab}"
                )
        self.rules = rules
        self._tokenizer.encode_special_tokens = rules.special_tokens == "text"
        return self

    def __contains__(self, text: str) -> bool:
        """Whether a text is the name of a token."""
        return text in self._known

    @cached_property
    def special_names(self) -> tuple[str, ...]:
        """Texts of the special tokens."""
        added = json.loads(self.source_text).get("added_tokens") or ()
        return tuple(one["content"] for one in added if one.get("special"))

    @property
    def dtype(self) -> type[np.integer]:
        """The smallest type that holds all ids."""
        return np.uint16 if self.vocab <= 2**16 else np.int32

    def encode(self, text: bytes) -> NDArray[np.integer]:
        """Returns the tokens of a text, without begin and end."""
        (found,) = self.encodings([text.decode("utf-8", errors="replace")])
        return self.ids(found)

    def encodings(self, texts: list[str]) -> list[Any]:
        """Returns the library's `Encoding`s: tokens and where they lie."""
        with _refuses(f"{self.name}: fails on a text"):
            return self._tokenizer.encode_batch(texts, add_special_tokens=False)

    def ids(self, encoding: Any) -> NDArray[np.integer]:
        """Returns the tokens of an `Encoding`."""
        return np.asarray(encoding.ids, dtype=self.dtype)

    def apart(self, left: int, right: int) -> bool:
        """Whether nothing can join two tokens that follow one another.

        That is so when no token of the vocabulary holds the last character of
        one and the first of the other side by side, for BPE. It is not for
        the others: Unigram's choice between equally likely tokens changes with
        what was before. False where it is not known.
        """
        pairs, known = self._inside_tokens
        if left not in known or right not in known:
            return False
        return known[left][-1] + known[right][0] not in pairs

    @cached_property
    def looks_far(self) -> bool:
        """Whether a word may depend on text any distance away from it."""
        described = json.loads(self.source_text)
        steps = [described.get(k) for k in ("normalizer", "pre_tokenizer")]
        return any(map(_looks_far, _patterns(steps)))

    @cached_property
    def _inside_tokens(self) -> tuple[set[str], dict[int, str]]:
        """Characters side by side in some token; the tokens of plain text."""
        described = json.loads(self.source_text)
        model = described["model"]
        affixes = ("continuing_subword_prefix", "end_of_word_suffix")
        if model.get("type") != "BPE" or any(map(model.get, affixes)):
            return set(), {}
        special = {one["id"] for one in described.get("added_tokens", ())}
        special.add(self._known.get(model.get("unk_token")))
        known = {
            token: name
            for name, token in self._known.items()
            if name and token not in special and not _BYTE.fullmatch(name)
        }
        pairs = {
            left + right
            for name in self._known
            for left, right in pairwise(name)
        }
        return pairs, known

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        state.pop("_inside_tokens", None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.with_rules(self.rules)  # the library forgets a part of them

    def decode(self, tokens: Sequence[int]) -> str:
        """Returns the text, special tokens included."""
        with _refuses(f"{self.name}: fails on tokens"):
            return decode_known(
                tokens,
                self._ids,
                lambda ids: self._tokenizer.decode(
                    ids, skip_special_tokens=False
                ),
            )

    def _id(self, name: str) -> int:
        if name in self._known:
            return self._known[name]
        close = difflib.get_close_matches(name, self._known, n=1, cutoff=0.4)
        raise ValueError(
            f"{self.name}: has no token {name!r}"
            + (f"; closest: {close[0]!r}" if close else "")
        )


@contextlib.contextmanager
def _refuses(what: str, *kinds: type[Exception]) -> Iterator[None]:
    """Makes errors of the library, and those of some kinds, a ValueError.

    Its own are bare Exceptions; its panics are not even that, and their class
    is nowhere to be had. A call that means nothing stays a TypeError.
    """
    try:
        yield
    except BaseException as error:
        own = type(error).__name__ in ("Exception", "PanicException")
        if not own and not isinstance(error, kinds):
            raise
        raise ValueError(f"{what}: {error} (data.tokenizer)") from None


def _found(path: str) -> tuple[Path | None, bytes]:
    """Returns where a tokenizer lies, None for that of bytes, and its text."""
    if path == BYTES:
        return None, bytes_tokenizer().encode()
    file = Path(path)
    if file.is_dir():
        file = _inside(file)
    try:
        return file, read_regular(file)
    except OSError as error:
        raise ValueError(
            f"{path}: {error.strerror}; give `bytes`, or the path of a "
            "tokenizer.json or of its folder (data.tokenizer)"
        ) from None


def _inside(folder: Path) -> Path:
    file = folder / "tokenizer.json"
    if file.exists():
        return file
    other = [p.name for p in sorted(folder.iterdir()) if "token" in p.name]
    raise ValueError(
        f"{folder}: this folder has no tokenizer.json"
        + (f", only {', '.join(other)}" if other else "")
        + "; transformers writes one: AutoTokenizer.from_pretrained(...)"
        ".save_pretrained(...) (data.tokenizer)"
    )


def _mapping(described: dict[str, Any]) -> dict[str, Any]:
    described = {**described, **dict.fromkeys(_OFF)}
    if described["model"].get("dropout") is not None:
        described["model"] = {**described["model"], "dropout": None}
    return described


def _patterns(steps: Any) -> Iterator[str]:
    if isinstance(steps, dict):
        if isinstance(steps.get("Regex"), str):
            yield steps["Regex"]
        steps = list(steps.values())
    if isinstance(steps, list):
        for step in steps:
            yield from _patterns(step)


def _looks_far(pattern: str) -> bool:
    """Whether something in `(?=...)` and the like has no longest match."""
    for look in _LOOK.finditer(pattern):
        depth = 1
        for sign in _SIGN.finditer(pattern, look.end()):
            depth += {"(": 1, ")": -1}.get(sign[0], 0)
            if depth == 0:
                break
            if sign[0] in ("*", "+") or sign[0].endswith(",}"):
                return True
    return False


def _template(tokenizer: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The ids that a tokenizer puts before and after each text."""
    tokenizer.no_truncation()
    tokenizer.no_padding()
    around = tokenizer.encode("", add_special_tokens=True)
    if not around.ids:
        return (), ()
    # A text of its own tells the two sides apart.
    whole = tokenizer.encode("a", add_special_tokens=True)
    own = [i for i, n in enumerate(whole.special_tokens_mask) if not n]
    if not own:
        return tuple(around.ids), ()
    return tuple(whole.ids[: own[0]]), tuple(whole.ids[own[-1] + 1 :])
