"""lm-evaluation-harness asks a model of ours.

`python -m eisbach.harness` is `lm_eval` with one model class more:

    python -m eisbach.harness run --model eisbach --tasks TASK
      --model_args run=FOLDER

`model_args` are `run`, the folder of a run or of a model; `tokenizer` and
`adapter`, as `eisbach eval` takes them; and keys of `run`, `precision` and
`parallel`. `--batch_size` is how many texts are continued at once; `--device`
means nothing, as `run.device` says that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from lm_eval.api.model import TemplateLM
from lm_eval.api.registry import register_model
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from eisbach.data.chats import chat_tokenizer
from eisbach.data.template_files import default_template, template_of
from eisbach.evaluating import loss_of_end
from eisbach.sampling import SamplingOptions, generate, load_model

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance


_TOKENS = 256
# What a task may say of how text is made, and what it is called here.
_OPTIONS = {
    "max_gen_toks": "tokens",
    "temperature": "temperature",
    "top_k": "top_k",
    "top_p": "top_p",
    "min_p": "min_p",
    "repetition_penalty": "repetition_penalty",
}
_Request = tuple[tuple[str, str] | None, list[int], list[int]]


@register_model("eisbach")
class Eisbach(TemplateLM):
    """A model that the harness asks for likelihoods and for text."""

    def __init__(
        self,
        run: str,
        *,
        tokenizer: str | None = None,
        adapter: str | None = None,
        batch_size: int | str = 1,
        max_batch_size: int | None = None,
        device: str | None = None,
        **keys: Any,
    ):
        """Loads a model.

        Args:
          run: The folder of a run, or of a model.
          tokenizer: `bytes` or a file; None takes the folder's own.
          adapter: As `load_model` takes it.
          batch_size: Prompts that are continued at once.
          max_batch_size: Without meaning here.
          device: Without meaning here: `run.device` says it.
          keys: `section.key=value` of `run`, `precision` and `parallel`.

        Raises:
          ValueError: There is no such model, or a value is none.
        """
        super().__init__()
        del max_batch_size, device  # the harness names a GPU wherever it is
        if not str(batch_size).isdigit() or int(batch_size) < 1:
            raise ValueError(
                f"batch_size={batch_size} is no number of prompts; nearest "
                "that works: 1"
            )
        overrides = [f"{key}={value}" for key, value in keys.items()]
        self._model = load_model(
            Path(run), overrides, tokenizer=tokenizer, adapter=adapter
        )
        if self._model.world.size > 1:
            raise ValueError(
                f"{self._model.world.size} ranks: the harness runs on one "
                "process; a model that needs several is measured by "
                "`eisbach eval`"
            )
        self._batch = int(batch_size)
        # As transformers reads them, names of special tokens are these tokens.
        self._tokens = chat_tokenizer(self._model.tokenizer)

    @property
    def max_length(self) -> int:
        """Tokens of the longest text."""
        return self._model.engine.config.model.context

    @property
    def eot_token_id(self) -> int:
        """The token that ends a text; that of a line where there is none."""
        ends = self._model.ends or (self._tokens.end_of_document,)
        return self._line() if ends[0] is None else ends[0]

    @property
    def prefix_token_id(self) -> int:
        """What stands before a text of which the first token counts."""
        begin = self._tokens.begin_of_document
        return begin[0] if begin else self.eot_token_id

    def _line(self) -> int:
        return int(self._tokens.encode(b"\n")[-1])

    def tok_encode(
        self,
        string: str,
        add_special_tokens: bool | None = None,
        **kwargs: Any,
    ) -> list[int]:
        """Returns the tokens of a text, with what begins one, once."""
        ids = np.asarray(self._tokens.encode(string.encode())).tolist()
        begin = list(self._tokens.begin_of_document)
        has_it = bool(begin) and ids[: len(begin)] == begin
        if add_special_tokens is False or (
            add_special_tokens is None and has_it
        ):
            return ids
        return [*begin, *ids]

    def loglikelihood_rolling(
        self, requests: list[Instance], disable_tqdm: bool = False
    ) -> list[float]:
        """Returns the logarithm of the probability of whole texts."""
        found = []
        for (text,) in (request.args for request in requests):
            windows = get_rolling_token_windows(
                token_list=self.tok_encode(text),
                prefix_token=self.prefix_token_id,
                max_seq_len=self.max_length,
                context_len=1,
            )
            parts = [(None, *make_disjoint_window(one)) for one in windows]
            found.append(sum(s for s, _ in self._scores(parts, greedy=False)))
        return found

    def _loglikelihood_tokens(
        self, requests: list[_Request], **kwargs: Any
    ) -> list[tuple[float, bool]]:
        return list(self._scores(requests, greedy=True))

    def _scores(
        self, requests: Sequence[_Request], *, greedy: bool
    ) -> Iterator[tuple[float, bool]]:
        """Yields the log-likelihood of each end; whether it is the likeliest.

        Of a text that is too long the beginning is left out.
        """
        for _, before, after in requests:
            ids = [*before, *after][-(self.max_length + 1) :]
            counted = min(len(after), len(ids) - 1)
            loss = loss_of_end(self._model, np.asarray(ids), counted)
            yield -loss, greedy and self._is_likeliest(ids, counted)

    def _is_likeliest(self, ids: list[int], counted: int) -> bool:
        """Whether the model alone would end a text like that."""
        before, after = ids[:-counted], ids[-counted:]
        before = before[-(self.max_length - counted) :]
        if not before:
            return False
        made: list[int] = []

        def on_token(_: int, token: int) -> bool:
            made.append(token)
            return token == after[len(made) - 1]

        self._model.decoder.generate(
            [before], tokens=counted, temperature=0, on_token=on_token
        )
        return made == after

    def generate_until(
        self, requests: list[Instance], disable_tqdm: bool = False
    ) -> list[str]:
        """Returns what follows prompts, up to a text that ends it."""
        asked = [request.args for request in requests]
        order = sorted(range(len(asked)), key=lambda i: repr(asked[i][1]))
        texts = [""] * len(asked)
        for _, same in groupby(order, key=lambda i: repr(asked[i][1])):
            for part in _parts(list(same), self._batch):
                options = _options(asked[part[0]][1])
                room = max(1, self.max_length - options.tokens)
                prompts = [
                    self.tok_encode(asked[i][0])[-room:]
                    or [self.prefix_token_id]
                    for i in part
                ]
                replies = generate(self._model, prompts, options)
                for i, reply in zip(part, replies, strict=True):
                    texts[i] = reply.text
                    self.cache_hook.add_partial(
                        "generate_until", asked[i], reply.text
                    )
        return texts

    def apply_chat_template(
        self,
        chat_history: list[dict[str, str]],
        add_generation_prompt: bool = True,
    ) -> str:
        """Writes a conversation by the template of the model."""
        return template_of(self._tokens).render(
            chat_history, add_generation_prompt=add_generation_prompt
        )

    def chat_template(self, chat_template: bool | str = False) -> str | None:
        """Returns the template, for the record."""
        return default_template(self._tokens) if chat_template else None

    @property
    def tokenizer_name(self) -> str:
        """Identifies tokenizer and template."""
        return f"eisbach-{self._tokens.key[:16]}"


def _parts(items: list[int], size: int) -> Iterator[list[int]]:
    for begin in range(0, len(items), size):
        yield items[begin : begin + size]


def _options(said: dict[str, Any]) -> SamplingOptions:
    """What a task says of how text is made.

    Raises:
      ValueError: It says something that is not there.
    """
    said = dict(said)
    draws = said.pop("do_sample", said.get("temperature", 0) > 0)
    until = said.pop("until", ())
    stops = (until,) if isinstance(until, str) else tuple(until or ())
    unknown = said.keys() - _OPTIONS.keys()
    if unknown:
        raise ValueError(
            f"{', '.join(sorted(unknown))}: how the task has text made is not "
            f"there; there are {', '.join(_OPTIONS)}, until, do_sample"
        )
    options = {"tokens": _TOKENS, "temperature": 1.0, "top_k": 0}
    options |= {_OPTIONS[name]: value for name, value in said.items()}
    if not draws:
        options["temperature"] = 0.0
    return SamplingOptions(stops=stops, **options)


def main() -> None:
    """Runs `lm_eval`."""
    from lm_eval.__main__ import cli_evaluate

    cli_evaluate()


if __name__ == "__main__":
    main()
