"""Section `dpo`: how a model learns which of two answers to prefer."""

from typing import Annotated, Literal

from pydantic import Field

from eisbach.config.section import Positive, Section, key

_Smoothing = Annotated[float, Field(ge=0, lt=0.5)]


class DpoSection(Section):
    """How a model learns which of two answers to prefer (train.objective)."""

    beta: Positive = key(
        0.1,
        "How much the reference holds: the smaller, the further the model may "
        "go from it.",
        known_as="dpo_beta pref_beta rl_beta",
    )
    label_smoothing: _Smoothing = key(
        0.0,
        "Share of the pairs that are thought to be the wrong way round (cDPO); "
        "`sigmoid` alone.",
        known_as="dpo_label_smoothing",
    )
    variant: Literal["sigmoid", "ipo"] = key(
        "sigmoid",
        "`sigmoid` as in arXiv:2305.18290; `ipo` as in arXiv:2310.12036, of "
        "mean log probabilities a token, which does not drive the margin of "
        "pairs that are clear ever further.",
        known_as="loss_type pref_loss",
    )
    reference: Literal["auto", "base", "start"] = key(
        "auto",
        "What the model is measured against. `base`: the model without its "
        "adapters, which takes no memory. `start`: the model as it is before "
        "the first step, measured on all pairs then. `auto`: `base` where "
        "there are adapters and no `adapter.modules_to_save`.",
    )
