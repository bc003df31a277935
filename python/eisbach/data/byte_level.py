"""The tokenizer of bytes as a `tokenizer.json`."""

from __future__ import annotations


def bytes_tokenizer() -> str:
    """Returns one without merges, of which the ids are the bytes."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    made = Tokenizer(models.BPE(vocab=byte_characters(), merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(
        add_prefix_space=False, use_regex=False
    )
    made.decoder = decoders.ByteLevel()
    return made.to_str(pretty=True) + "\n"


def byte_characters() -> dict[str, int]:
    """Returns the character by which GPT-2 spells each byte, and the byte.

    A printable character of Latin-1 stands for itself, the others, in order,
    for 256 and on (openai/gpt-2, encoder.py, `bytes_to_unicode`).
    """
    printable = {
        *range(ord("!"), ord("~") + 1),
        *range(ord("¡"), ord("¬") + 1),
        *range(ord("®"), ord("ÿ") + 1),
    }
    others = iter(range(256, 512))
    return {chr(b if b in printable else next(others)): b for b in range(256)}


def spelled(text: str) -> str:
    """Returns how a tokenizer of bytes spells a text, as in `Ġthe`."""
    characters = {byte: one for one, byte in byte_characters().items()}
    return "".join(characters[byte] for byte in text.encode())
