"""How much text a run sees, and how often."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eisbach import _C
    from eisbach.job import Job

# A model that sees a text more often begins to learn it by heart; four times
# is nearly as good as new text (Muennighoff et al., 2023, arXiv:2305.16264).
_OFTEN = 5


def what_is_read(job: Job) -> Iterator[str]:
    """Yields lines: the tokens of the text, and what the run sees of them."""
    config = job.config
    samples = config.train.steps * config.train.global_batch
    corpus = job.corpus
    weights = job.sources.weights
    epochs = [
        samples * weight / sum(weights) / held
        for weight, held in zip(weights, corpus.source_samples, strict=True)
    ]
    times = ", ".join(f"{count:,.2f} x" for count in epochs)
    yield (
        f"text: {corpus.tokens:,} tokens, {corpus.epoch_samples:,} samples; "
        f"the run sees "
        f"{samples * config.model.context:,} tokens, {samples:,} samples: "
        + (f"{times} the text" if len(epochs) == 1 else times)
    )
    pairs = config.train.objective == "dpo"
    yield from _rows(corpus, config.model.context, pairs=pairs)
    for source, count in zip(_sources(job), epochs, strict=True):
        if count > _OFTEN:
            fewer = int(config.train.steps * _OFTEN / count)
            yield (
                f"note: the run sees {source} {count:,.1f} times; from some "
                f"{_OFTEN} times on a model learns it by heart. More text "
                f"would help, or train.steps={max(1, fewer)}"
            )


def _rows(corpus: _C.Corpus, context: int, *, pairs: bool) -> Iterator[str]:
    """Yields what becomes of documents where they are packed into rows."""
    if not corpus.separate:
        return
    trained = corpus.trained
    if pairs:
        yield f"a sample is a pair of answers; {trained:,} tokens are trained"
        if left := corpus.left_out_pairs:
            yield (
                f"note: {left:,} pairs are left out: their answers, prompts "
                f"included, are longer together than model.context={context}, "
                "or have nothing to train"
            )
        return
    yield (
        f"samples are packed of separate documents; {trained:,} of the tokens "
        "are trained"
    )
    if split := corpus.split_documents:
        yield (
            f"note: {split:,} documents are longer than model.context="
            f"{context} and cut into pieces, of which none sees another"
        )


def _sources(job: Job) -> list[str]:
    value = job.config.data.train
    if value == "auto":
        return ["Python's standard library"]
    return [value] if isinstance(value, str) else [s.path for s in value]
