"""`eisbach chat`: a conversation with a trained model."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from eisbach.cli.sample import (
    AdapterName,
    Folder,
    MinP,
    Overrides,
    Penalty,
    Seed,
    Stop,
    Temperature,
    TokenizerName,
    Tokens,
    TopK,
    TopP,
    tell_full,
)

if TYPE_CHECKING:
    from eisbach.chatting import Chat

_HELP = "/reset forgets what was said; /exit, or Ctrl-D, leaves"


def command(
    folder: Folder,
    overrides: Overrides = None,
    *,
    system: Annotated[
        str, typer.Option(help="What stands before the conversation.")
    ] = "",
    template: Annotated[
        str,
        typer.Option(
            help="`auto` takes the template of the folder; else `chatml`, or "
            "the path of one."
        ),
    ] = "auto",
    tokens: Tokens = 512,
    temperature: Temperature = 0.8,
    top_k: TopK = 40,
    top_p: TopP = 1.0,
    min_p: MinP = 0.0,
    repetition_penalty: Penalty = 1.0,
    stop: Stop = None,
    seed: Seed = 0,
    tokenizer: TokenizerName = None,
    adapter: AdapterName = None,
) -> None:
    """Talk with the model of a run, or of another folder.

    The template of the model writes the conversation. Ctrl-C ends an answer,
    `/reset` the conversation, `/exit` or Ctrl-D the program. From a pipe each
    line is a message, and the answers are printed.

    Example: `eisbach chat runs/tuned --temperature 0.7`
    """
    from eisbach.chatting import open_chat
    from eisbach.sampling import SamplingOptions, load_model

    model = load_model(
        folder, overrides or (), tokenizer=tokenizer, adapter=adapter
    )
    options = SamplingOptions(
        tokens=tokens,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        min_p=min_p,
        repetition_penalty=repetition_penalty,
        seed=seed,
        stops=tuple(stop or ()),
    )
    chat = open_chat(model, template, options, system=system)
    terminal = model.world.size == 1 and sys.stdin.isatty()
    if terminal:
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401, edits the line that is typed
        print(_HELP)
    while (line := _next(chat, terminal=terminal)) is not None:
        if line == "/reset":
            chat.reset()
        elif line == "/help" and terminal:
            print(_HELP)
        elif line:
            _turn(chat, line, terminal=terminal)


def _next(chat: Chat, *, terminal: bool) -> str | None:
    """The next message, without spaces around it; None where there is none."""
    line = "/exit"
    if chat.model.world.rank == 0:
        line = _ask() if terminal else (_read() or line)
    if chat.model.world.size > 1:
        line = chat.model.world.broadcast(line)
    line = line.strip()
    return None if line == "/exit" else line


def _read() -> str:
    """A line of a pipe; empty at its end."""
    line = sys.stdin.buffer.readline()
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        shown = line.decode(errors="backslashreplace").strip()
        raise ValueError(
            f"standard input: {shown}: not UTF-8 at byte {error.start} of the "
            "line"
        ) from None


def _ask() -> str:
    try:
        return input("> ")
    except KeyboardInterrupt:
        print(f"\n{_HELP}")
        return ""
    except EOFError:
        print()
        return "/exit"


def _turn(chat: Chat, line: str, *, terminal: bool) -> None:
    from eisbach.sampling import printable

    first = chat.model.world.rank == 0
    plain = not sys.stdout.isatty()

    def show(text: str) -> None:
        if first:
            print(text if plain else printable(text), end="", flush=True)

    try:
        reply = chat.answer(line, show)
    except ValueError as error:
        if not terminal:
            raise
        print(f"eisbach: {error}", file=sys.stderr)
        return
    show("\n")
    tell_full(chat.model, reply)
