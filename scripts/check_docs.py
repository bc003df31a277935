#!/usr/bin/env python3
"""Runs the code of README.md and docs/*.md; prints `file:line: reason`.

    python scripts/check_docs.py [PAGE...]

Blocks of a page run in order in one temporary folder, which has configs/,
scripts/ and examples/ of the repository and some text of a reader's.

- python: run, all blocks of a page in one namespace.
- yaml: read as a configuration, and kept where it begins with `# NAME.yaml`.
- others are commands where a line begins with a program, else output. Options
  of `eisbach` are parsed; on up to two ranks it runs, on tiny sizes, and of
  more ranks the layout is checked. Scripts of the repository must be there.
  What is exempt stands in EXEMPT with its reason.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
MOST_RANKS = 2
# A command takes seconds; on a machine that does much else, minutes.
MOST_SECONDS = 1200
# The same program on sizes that take no time.
TINY = [
    "train={steps: 2, global_batch: 12, micro_batch: 1, validation_batches: 1}",
    "checkpoint.every_steps=1",
    "model={layers: 4, hidden: 24, heads: 12, context: 32}",
]
# Added to a command, by its name, so that it ends soon.
SHORT = {
    "checkpoint import": TINY,
    "plan": ["model={layers: 4, hidden: 1024}", "train.global_batch=64"],
    "profile": [*TINY, "--steps", "1"],
    "sample": ["--tokens", "4"],
    "sweep": ["--dry-run"],
}
EXEMPT = {
    ".": "the environment of a reader is the one that runs this",
    "cd": "goes where the block before it made something",
    "cmake": "builds the core; scripts/test.sh does",
    "ctest": "runs other tests",
    "export": "a setting of a site",
    "git": "clones the repository",
    "kubectl": "needs a cluster",
    "module": "a site's own command",
    "ninja": "builds the core; scripts/test.sh does",
    "pip": "installs packages",
    "pytest": "runs other tests",
    "qemu-aarch64-static": "needs an emulator; scripts/test_aarch64.sh runs it",
    "sbatch": "needs a cluster",
    "srun": "needs a cluster",
    "zcat": "feeds a command that is tried with files",
}
EXEMPT_FILES = {
    "hello.py": "is the block above it",
    "my_script.py": "stands for a script of the reader",
}
PROGRAMS = {"eisbach", "mpirun", "python", *EXEMPT}
SCRIPT = re.compile(r"(\./)?scripts/\S+")
ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*")
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A block of code: its language, its text, and the line it begins in."""

    language: str
    text: str
    line: int


def blocks(page: str) -> Iterator[Block]:
    """Yields the blocks of a page in order."""
    for found in FENCE.finditer(page):
        text = f"\n{found[3]}".replace("\n" + found[1], "\n")[1:]
        yield Block(found[2], text, page.count("\n", 0, found.start()) + 2)


def commands(block: Block) -> Iterator[tuple[int, list[str]]]:
    """Yields the commands of a block with their lines; none of output."""
    found, line, text = [], block.line, ""
    for number, part in enumerate(block.text.splitlines(), block.line):
        line = line if text else number
        text += part.removesuffix("\\")
        if part.endswith("\\"):
            continue
        with contextlib.suppress(ValueError):  # a quote in output
            words = shlex.split(text, comments=True)
            found += [(line, command) for command in _parts(words)]
        text = ""
    if any(_program(command[0]) for _, command in found):
        yield from found


def _parts(words: list[str]) -> Iterator[list[str]]:
    """Splits at `&&`; settings before a command are left out."""
    command: list[str] = []
    for word in [*words, "&&"]:
        if word == "&&":
            if command:
                yield command
            command = []
        elif command or not ASSIGNMENT.fullmatch(word):
            command.append(word)


def _program(word: str) -> bool:
    return word in PROGRAMS or bool(SCRIPT.fullmatch(word))


class Page:
    """Runs a page in a folder, and knows what is wrong."""

    def __init__(self, path: Path, folder: Path):
        """Reads nothing yet; `folder` is the working folder."""
        self.path, self.folder = path, folder
        self.environment = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "OMPI_ALLOW_RUN_AS_ROOT": "1",
            "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        }
        self.names: dict[str, Any] = {"__name__": "__main__"}
        self.trained: set[tuple[int | str, ...]] = set()

    def check(self) -> Iterator[str]:
        """Yields `file:line: reason`."""
        for block in blocks(self.path.read_text(encoding="utf-8")):
            for line, reason in self._block(block):
                yield f"{self.path.relative_to(ROOT)}:{line}: {reason}"

    def _block(self, block: Block) -> Iterator[tuple[int, str]]:
        if block.language == "python":
            yield from self._python(block)
        elif block.language == "yaml":
            yield from self._yaml(block)
        elif block.language:
            yield block.line, f"{block.language}: nothing runs this language"
        else:
            for line, command in commands(block):
                if reason := self._command(command):
                    yield line, f"{shlex.join(command)}: {reason}"

    def _python(self, block: Block) -> Iterator[tuple[int, str]]:
        source = "\n" * (block.line - 1) + block.text
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(source, str(self.path), "exec"), self.names)
        except Exception as error:
            trace = traceback.extract_tb(error.__traceback__)
            lines = [f.lineno for f in trace if f.filename == str(self.path)]
            yield (
                (lines or [block.line])[-1] or block.line,
                f"{type(error).__name__}: {error}",
            )

    def _yaml(self, block: Block) -> Iterator[tuple[int, str]]:
        from eisbach.config import ConfigError, load_config

        named = re.match(r"# (\w+\.yaml)\n", block.text)
        file = self.folder / (named[1] if named else "block.yaml")
        file.write_text(block.text)
        try:
            load_config(file)
        except ConfigError as error:
            yield block.line, str(error)

    def _command(self, command: list[str]) -> str:
        """Returns what is wrong with a command; empty if nothing is."""
        program, *arguments = command
        ranks = 1
        if program == "mpirun":
            while arguments and arguments[0].startswith("-"):
                option, value, *arguments = arguments
                if option in ("-n", "-np"):
                    ranks = int(value)
            if not arguments:
                return "starts nothing"
            program, *arguments = arguments
        if program == "eisbach":
            return self._eisbach(arguments, ranks)
        if program == "python":
            file = next((a for a in arguments if not a.startswith("-")), "")
            there = file in EXEMPT_FILES or (ROOT / file).is_file()
            return "" if there else f"no file {file!r}"
        if SCRIPT.fullmatch(program):
            file = ROOT / program
            return "" if os.access(file, os.X_OK) else "no such program"
        return "" if program in EXEMPT else "nobody knows this program"

    def _eisbach(self, arguments: list[str], ranks: int) -> str:
        if reason := _usage(arguments):
            return reason
        name = next((a for a in arguments if not a.startswith("-")), "")
        if name == "follow":  # what it sends to is not installed here
            return ""
        if name in ("launch", "run"):  # on hosts that a page has made up
            inner = [
                a.replace("$(command -v eisbach)", "eisbach") for a in arguments
            ]
            programs = [i for i, a in enumerate(inner) if a in PROGRAMS]
            return self._command(inner[programs[0] :])
        # The steps of a page are those of a longer run.
        arguments = [re.sub(r"step-\d+", "step-00000002", a) for a in arguments]
        arguments = [re.sub(r"^(runs/.*)@\d+$", r"\1@2", a) for a in arguments]
        goes_on = "--resume" in arguments or "--from" in arguments
        if name == "train" and not goes_on:
            # Those that differ in sizes alone run once.
            kind = (ranks, *(a for a in arguments if _concerns_files(a)))
            if ranks > MOST_RANKS or kind in self.trained:
                return _layout(arguments[1:], ranks)
            self.trained.add(kind)
        if ranks > MOST_RANKS:
            return ""
        extra = SHORT.get(" ".join(arguments[:2]), SHORT.get(name, []))
        if name == "train":
            # What goes on has its sizes from where it goes on.
            sized = not goes_on or Path(arguments[1]).suffix == ".yaml"
            extra = [*TINY] if sized else []
            if goes_on:
                extra.append(f"train.steps={6 if '--from' in arguments else 4}")
            if not goes_on:  # the name is free, whatever the page has run
                stem = Path(arguments[1]).stem
                shutil.rmtree(self.folder / "runs" / stem, ignore_errors=True)
        if name == "runs":  # those that a reader has made
            self._make_run("runs/gpt_bytes")
        for argument in arguments:
            self._make_run(argument)
        return self._run([*arguments, *extra], ranks)

    def _make_run(self, argument: str) -> None:
        """Makes a run of the repository's file that a command names."""
        found = re.match(r"runs/(\w+)", argument)
        file = found and Path("configs", f"{found[1]}.yaml")
        there = not found or (self.folder / found[0]).exists()
        if file and not there and (ROOT / file).is_file():
            self._run(["train", str(file), *TINY], 1)

    def _run(self, arguments: list[str], ranks: int) -> str:
        command = [sys.executable, "-m", "eisbach", *arguments]
        if ranks > 1:
            command = [_mpirun(), "-n", str(ranks), *command]
        try:
            done = subprocess.run(
                command,
                cwd=self.folder,
                env=self.environment,
                capture_output=True,
                text=True,
                check=False,
                timeout=MOST_SECONDS,
            )
        except subprocess.TimeoutExpired:
            return f"has not come to its end in {MOST_SECONDS} s"
        if not done.returncode:
            return ""
        return f"ends with {done.returncode}: {done.stderr.strip()[-600:]}"


def _concerns_files(argument: str) -> bool:
    """Whether an argument is a file, or a key that is about files."""
    return "=" not in argument or argument.startswith(
        ("data.", "run.", "train.save")
    )


def _usage(arguments: list[str]) -> str:
    """Parses the options of `eisbach`; runs nothing."""
    import click
    from typer.main import get_command

    from eisbach.cli.app import app

    group = get_command(app)
    try:
        context = click.Context(group, info_name="eisbach")
        while hasattr(group, "commands"):
            if not arguments or arguments[0].startswith("-"):
                return ""
            name, *arguments = arguments
            found = group.get_command(context, name)
            if found is None:
                return f"eisbach has no command {name!r}"
            group = found
            context = click.Context(group, info_name=name, parent=context)
        if "--help" not in arguments:
            group.make_context(group.name, list(arguments))
    except Exception as error:
        return getattr(error, "message", str(error))
    return ""


def _layout(arguments: list[str], ranks: int) -> str:
    """Says why a configuration does not fit a number of ranks."""
    from eisbach.config import load_config, resolve
    from eisbach.core_config import complete, engine_config, make_mesh

    file, *overrides = arguments
    try:
        config = complete(resolve(load_config(file, overrides), file=file))
        mesh = make_mesh(config, ranks)
        config = config.derive("parallel.data", mesh.size("data"), "ranks")
        engine_config(config).validate(mesh)
    except ValueError as error:
        return str(error)
    return ""


def _mpirun() -> str:
    beside = Path(sys.prefix, "bin", "mpirun")
    return str(beside) if beside.exists() else "mpirun"


def furnish(folder: Path) -> None:
    """Puts what a reader has into a folder: a clone, and text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    for name in ("configs", "scripts", "examples"):
        (folder / name).symlink_to(ROOT / name)
    books = folder / "books"
    books.mkdir()
    texts = [
        f"Chapter {i}. " + "The quick brown fox jumps over the dog. " * 5
        for i in range(600)
    ]
    for i, text in enumerate(texts):
        (books / f"chapter-{i:03}.txt").write_text(text)
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    (folder / "web.jsonl").write_text(lines)
    (folder / "web.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    rows = "".join(f"{i},{text}\n" for i, text in enumerate(texts))
    (folder / "news.csv").write_text(f"number,body\n{rows}")
    talk = [
        {"role": role, "content": f"{role} says {role}"}
        for role in ("user", "assistant")
    ]
    line = json.dumps({"messages": talk}) + "\n"
    (folder / "talks.jsonl").write_text(line * 40)
    pair = {"prompt": "Is it? ", "chosen": "Yes.", "rejected": "No."}
    (folder / "pairs.jsonl").write_text((json.dumps(pair) + "\n") * 40)
    (folder / "old.txt").write_text("Zwölf Bücher. " * 99, encoding="latin-1")
    (folder / "src").mkdir()
    (folder / "src" / "main.c").write_text("int main() { return 0; }\n" * 99)
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=300,
            special_tokens=["<|endoftext|>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    made.save(str(folder / "tokenizer.json"))


def check(path: Path) -> list[str]:
    """Returns what is wrong with a page."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="docs-") as folder:
        os.chdir(folder)
        furnish(Path(folder))
        try:
            return list(Page(path, Path(folder)).check())
        finally:
            os.chdir(before)


def pages() -> list[Path]:
    """Returns README.md and the pages of docs/."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def main() -> int:
    """Checks the pages, each in a process of its own."""
    if len(sys.argv) == 2:
        problems = check(Path(sys.argv[1]).resolve())
        print("\n".join(problems) if problems else f"{sys.argv[1]}: fine")
        return int(bool(problems))
    failed = [
        page
        for page in (sys.argv[1:] or pages())
        if subprocess.run([sys.executable, __file__, str(page)]).returncode
    ]
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
