"""The configuration as the structs of the core; names only, no decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eisbach.arguments import takes
from eisbach.config import Config, resolve
from eisbach.data.new_tokens import KEYS, NewTokens
from eisbach.data.tokenizer import load_tokenizer
from eisbach.device import choose_device
from eisbach.export.adapter_start import with_adapter
from eisbach.export.start import with_start
from eisbach.precision import choose_precision

if TYPE_CHECKING:
    from eisbach import _C
    from eisbach.config.adapter import AdapterSection
    from eisbach.config.model import ModelSection
    from eisbach.config.optimizer import OptimizerSection

# Of the section `model`: what the core sees in vocab and weights alone.
_NOT_OF_CORE = {"from", *KEYS}
# Gradients are reduced in pieces of about this size.
_BUCKET_BYTES = 4 << 20
# As docs/resilience.md says; `fault.spike_deviations: auto`.
_SPIKE_DEVIATIONS = 20.0
# `optimizer.momentum: auto`, as its authors take it.
_MUON_MOMENTUM = 0.95


def complete(config: Config) -> Config:
    """Returns a copy with no `auto` in model, precision and device.

    Raises:
      ValueError: The tokenizer cannot be read, or the folder that the weights
        are from.
    """
    from eisbach import _C

    config = with_adapter(with_start(config))
    vocab = None
    if config.model.vocab == "auto":
        added = NewTokens.of(config.model)
        vocab = load_tokenizer(config.data.tokenizer, added=added).vocab
    config = resolve(config, vocab=vocab)
    config = choose_device(config)
    return choose_precision(config, _C.build_info()["cpu"].split())


@takes(config=Config, world_size=int, locations=[object])
def make_mesh(
    config: Config,
    world_size: int,
    *,
    locations: list[_C.RankLocation] | None = None,
) -> _C.Mesh:
    """Lays the ranks out.

    Args:
      config: Says along which axes.
      world_size: Number of ranks.
      locations: Of all ranks; tensor groups are then put inside domains where
        that can be had. None takes ranks in their own order.

    Raises:
      ValueError: The sizes do not multiply to the number of ranks.
    """
    from eisbach import _C

    parallel = config.parallel
    placement = []
    if locations:
        placement = _C.place_ranks(locations, tensor=parallel.tensor)
    return _C.Mesh(
        world_size,
        data=0 if parallel.data == "auto" else parallel.data,
        tensor=parallel.tensor,
        pipeline=parallel.pipeline,
        context=parallel.context,
        placement=placement,
    )


@takes(config=Config)
def update_config(config: Config) -> _C.UpdateConfig:
    """Returns how the weights change; `auto` is completed."""
    from eisbach import _C

    config = complete(config)
    optimizer = config.optimizer
    return _C.UpdateConfig(
        optimizer=_C.OptimizerConfig(
            name=optimizer.name,
            beta1=optimizer.betas[0],
            beta2=optimizer.betas[1],
            eps=optimizer.eps,
            momentum=_momentum(optimizer),
            weight_decay=optimizer.weight_decay,
            stochastic_rounding=optimizer.stochastic_rounding,
            groups=[
                _C.ParameterGroup(
                    group.parameters,
                    frozen=group.frozen,
                    lr_factor=group.lr_factor,
                    weight_decay=None
                    if group.weight_decay == "auto"
                    else group.weight_decay,
                    adamw=group.rule == "adamw",
                )
                for group in optimizer.groups
            ],
            nesterov=optimizer.nesterov,
            newton_schulz_steps=optimizer.newton_schulz_steps,
            matrix_scale=optimizer.matrix_scale,
            adamw_lr_factor=1.0
            if optimizer.adamw_lr == "auto"
            else optimizer.adamw_lr / optimizer.lr,
            average_decay=config.train.ema,
        ),
        schedule=_C.ScheduleConfig(
            name=optimizer.schedule,
            learning_rate=optimizer.lr,
            min_learning_rate=optimizer.min_lr,
            warmup_steps=optimizer.warmup_steps,
            total_steps=config.train.steps,
            decay_steps=optimizer.decay_steps,
            decay=optimizer.decay,
            cycle_steps=optimizer.cycle_steps,
            cycle_factor=optimizer.cycle_factor,
        ),
        clip_grad_norm=optimizer.clip_grad_norm,
        compute_dtype=config.precision.compute,
        bucket_bytes=_BUCKET_BYTES,
        seed=config.run.seed,
        initial_loss_scale=config.precision.initial_loss_scale,
        loss_scale_window=config.precision.loss_scale_window,
        initial_values=getattr(config.model, "from") == "none",
        zero=config.parallel.zero,
        zero_group=0
        if config.parallel.zero_group == "auto"
        else config.parallel.zero_group,
        zero_prefetch=config.parallel.zero_prefetch,
        reduce_wire=config.parallel.reduce_wire,
    )


def _momentum(optimizer: OptimizerSection) -> float:
    """Returns the decay of the velocity; `auto` is completed."""
    if optimizer.momentum == "auto":
        return _MUON_MOMENTUM if optimizer.name == "muon" else 0.0
    return optimizer.momentum


def rope_options(model: ModelSection) -> _C.RopeOptions:
    """Returns how a model's rotary positions turn.

    Raises:
      ValueError: A number does not fit the scaling.
    """
    from eisbach import _C

    values = model.model_dump()
    return _C.RopeOptions(
        **{
            name.removeprefix("rope_"): value
            for name, value in values.items()
            if name.startswith("rope_")
        }
    )


def adapter_config(adapter: AdapterSection) -> _C.Adapter:
    """Returns what is trained beside the model; `alpha` is no `auto`."""
    from eisbach import _C

    return _C.Adapter(
        adapter.rank,
        alpha=0.0 if adapter.alpha == "auto" else adapter.alpha,
        dropout=adapter.dropout,
        rslora=adapter.rslora,
        targets=[] if adapter.targets == "all" else adapter.targets,
        modules_to_save=adapter.modules_to_save,
        tokens=[] if adapter.tokens == "auto" else adapter.tokens,
    )


def model_config(
    model: ModelSection, adapter: AdapterSection | None = None
) -> _C.ModelConfig:
    """Returns the model; only `head_dim` may be `auto`.

    Raises:
      ValueError: Sizes do not fit one another.
    """
    from eisbach import _C

    values = {
        name: value
        for name, value in model.model_dump(exclude=_NOT_OF_CORE).items()
        if not name.startswith("rope_")
    }
    if values["head_dim"] == "auto":
        values["head_dim"] = None
    return _C.ModelConfig(
        **values,
        rope=rope_options(model),
        adapter=adapter_config(adapter) if adapter else None,
    )


def spike_config(config: Config) -> _C.SpikeConfig:
    """Returns which steps are bad, and what is done then."""
    from eisbach import _C

    fault = config.fault
    deviations = fault.spike_deviations
    if deviations == "auto":
        deviations = 0.0 if fault.on_spike == "stop" else _SPIKE_DEVIATIONS
    return _C.SpikeConfig(
        on_spike=fault.on_spike,
        deviations=deviations,
        window=fault.spike_window,
        most_skips=fault.most_skips,
    )


def preference_config(config: Config) -> _C.PreferenceConfig | None:
    """Returns how answers are preferred; None where the next token is learned.

    Raises:
      ValueError: A key of section `dpo` is set that nothing asks for.
    """
    from eisbach import _C

    dpo = config.dpo
    if config.train.objective != "dpo":
        for name, value in dpo.model_dump(exclude_defaults=True).items():
            raise ValueError(
                f"dpo.{name}={value} has no meaning where train.objective="
                "next_token: leave it out, or take train.objective=dpo"
            )
        return None
    if config.data.documents not in ("auto", "separate"):
        raise ValueError(
            f"data.documents={config.data.documents}: pairs of answers are "
            "never joined (train.objective=dpo): leave it out, or say "
            "data.documents=auto"
        )
    return _C.PreferenceConfig(
        beta=dpo.beta,
        label_smoothing=dpo.label_smoothing,
        variant=dpo.variant,
        stored_reference=dpo.reference == "start",
    )


@takes(config=Config, context_neighbours=int)
def engine_config(
    config: Config, *, context_neighbours: int = 0
) -> _C.EngineConfig:
    """Returns what an Engine is made from; `auto` is completed.

    Args:
      config: Says what is trained, and how.
      context_neighbours: Of the ranks that divide rows, as many neighbours
        reach one another quickly (`_C.context_neighbours`); 0 for all.

    Raises:
      ValueError: Sizes of the model do not fit one another.
    """
    from eisbach import _C

    config = complete(config)
    train, parallel = config.train, config.parallel
    layers = parallel.layers_per_stage
    return _C.EngineConfig(
        model=model_config(config.model, config.adapter),
        update=update_config(config),
        global_batch=train.global_batch,
        micro_batch=train.micro_batch,
        recompute=train.recompute,
        recompute_layers=None
        if train.recompute_layers in ("all", "auto")
        else train.recompute_layers,
        sequence=None if parallel.sequence == "auto" else parallel.sequence,
        deferred_weights=False,
        pipeline_schedule=parallel.schedule,
        chunks=0 if parallel.chunks == "auto" else parallel.chunks,
        context_method=parallel.context_method,
        ulysses_group=0
        if parallel.ulysses_group == "auto"
        else parallel.ulysses_group,
        context_neighbours=context_neighbours,
        layers_per_stage=[] if layers == "auto" else layers,
        replays_steps=config.run.cuda_graphs
        and not config.fault.check_collectives,
        tf32=config.precision.tf32,
        spikes=spike_config(config),
        hash_every=config.fault.hash_every,
        preference=preference_config(config),
        z_loss=train.z_loss,
        label_smoothing=train.label_smoothing,
    )
