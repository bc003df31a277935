# Made by scripts/generate_stubs.py from csrc/bindings.
"""
The core of Eisbach: see docs/python-api.md.
"""
from __future__ import annotations
import collections.abc
from eisbach import NonFiniteError
import numpy
import numpy.typing
import os
import typing
from . import nn
from . import functional
__all__: list[str] = ['Accuracy', 'Adapter', 'Architecture', 'Batch', 'Busy', 'Candidate', 'CollectiveRow', 'CollectiveSample', 'CollectiveSpeed', 'Communicator', 'Continuation', 'Corpus', 'DataLoader', 'Decoder', 'Device', 'Engine', 'EngineConfig', 'Experts', 'Forecast', 'ForeignTensor', 'Graph', 'HANG_STATUS', 'HalfSizes', 'Hardware', 'Layout', 'Link', 'LogicalSlice', 'MemoryStats', 'Mesh', 'Misfit', 'ModelConfig', 'ModelSize', 'NetworkReport', 'NonFiniteError', 'OpRow', 'OpSample', 'OpSpeed', 'OptimizerConfig', 'ParallelContext', 'Parameter', 'ParameterGroup', 'Peak', 'PeakRates', 'Phase', 'PreferenceConfig', 'Profile', 'RankLocation', 'RankMemory', 'RankTrace', 'RecordedStep', 'Rewards', 'RopeOptions', 'RunConditions', 'RunCost', 'SafetensorsFile', 'SaveOutcome', 'SavedTensor', 'ScheduleConfig', 'SearchOptions', 'SearchResult', 'Span', 'SpikeConfig', 'StageForecast', 'StageSpan', 'StepResult', 'StepSample', 'Straggler', 'StreamSpan', 'StreamTimeline', 'Tensor', 'TensorDifference', 'TimeShares', 'TimedAction', 'TimedSchedule', 'Timeline', 'TokenFile', 'TokenFileWriter', 'TraceTotals', 'Update', 'UpdateConfig', 'Verification', 'Watch', 'World', 'abort', 'best_on', 'build_info', 'check_network', 'check_requirements', 'config_changes', 'context_neighbours', 'cost_of_run', 'count_devices', 'cpu_quota', 'crossing_text', 'devices_of', 'enter_phase', 'estimate_memory', 'fewest_devices', 'fewest_recomputed', 'file_content', 'finalize', 'first_error', 'fit_hardware', 'functional', 'gather_locations', 'gather_traces', 'hang_found', 'init', 'latest_checkpoint', 'layout_memory', 'make_folders', 'make_timeline', 'measure_collectives', 'measure_moves', 'measure_peak', 'measure_reference', 'measure_step', 'model_families', 'nn', 'phase', 'place_ranks', 'rank_gone', 'rank_table', 'read_checkpoint', 'read_manifest', 'read_safetensors', 'saved_tensors', 'schedule_names', 'search_layouts', 'set_threads', 'sim_world', 'simulate_schedule', 'step_range', 'summarise', 'tensor_difference', 'tensor_sizes_inside', 'threads', 'verify_checkpoint', 'watch', 'what_fits', 'why_it_never_ends', 'write_file_atomically', 'write_safetensors']
class MemoryStats:
    """
    What a device's allocator has given out.
    """
    @property
    def allocations(self) -> int:
        """
        Requests served.
        """
    @property
    def bytes_in_use(self) -> int:
        ...
    @property
    def bytes_reserved(self) -> int:
        """
        Taken from the system.
        """
    @property
    def peak_bytes_in_use(self) -> int:
        ...
    @property
    def system_allocations(self) -> int:
        """
        Requests that went to the system.
        """
class TraceTotals:
    """
    Seconds that a device has spent since it was made.
    """
    @property
    def attention(self) -> float:
        ...
    @property
    def collectives(self) -> float:
        """
        Those of several groups may run at once, behind compute.
        """
    @property
    def matmul(self) -> float:
        ...
    @property
    def other_ops(self) -> float:
        ...
    @property
    def waiting(self) -> float:
        """
        For communication, with nothing else to do.
        """
class Device:
    """
    A rank's compute device: its memory and its streams.
    """
    def __init__(self, type: str = 'cpu') -> None:
        """
        A device of its own, outside any job: `cpu`, `cuda` or `meta`.
        """
    def __repr__(self) -> str:
        ...
    def memory(self) -> MemoryStats:
        """
        What the allocator has given out, in bytes.
        """
    def reset_peak_memory(self) -> None:
        """
        The peak is what is in use now.
        """
    def start_recording(self) -> None:
        """
        Keeps every span from now on, until `gather_traces`.
        """
    def synchronize(self) -> None:
        """
        Waits for all work given to the device.
        """
    def trace_totals(self) -> TraceTotals:
        """
        Where this rank's time has gone so far.
        """
    def trim_memory(self) -> None:
        """
        Gives cached memory that nothing lies in back to the system.
        """
    @property
    def runs_inline(self) -> bool:
        """
        Whether an op has finished when its call returns: then the host's clock times it, and submitting steps ahead gains nothing.
        """
    @property
    def type(self) -> str:
        """
        `cpu`, `cuda` or `meta`.
        """
class Tensor:
    """
    A strided view of device memory; copies share it.
    """
    @staticmethod
    def from_dlpack(source: typing.Any, device: Device) -> Tensor:
        """
        A tensor over the memory of another library's array.
        """
    @staticmethod
    def from_numpy(array: numpy.ndarray, device: Device, *, copy: bool | None = None) -> Tensor:
        """
        The array on a device. On cpu its memory is shared where that is possible; `copy` forces or forbids a copy.
        """
    @staticmethod
    def zeros(shape: tuple[int, ...], dtype: str, device: Device) -> Tensor:
        """
        All elements are 0.
        """
    def __array__(self, dtype: typing.Any = None, copy: typing.Any = None) -> typing.Any:
        ...
    def __dlpack__(self, *, stream: typing.Any = None, max_version: tuple[int, int] | None = None, dl_device: tuple[int, int] | None = None, copy: bool | None = None) -> typing.Any:
        ...
    def __dlpack_device__(self) -> tuple[int, int]:
        ...
    def __len__(self) -> int:
        ...
    def __repr__(self) -> str:
        ...
    def astype(self, dtype: str) -> Tensor:
        """
        A copy with elements of another type, apart from any graph.
        """
    def contiguous(self) -> Tensor:
        """
        The tensor itself where it is contiguous, else a copy that is, apart from any graph.
        """
    def detach(self) -> Tensor:
        """
        The same memory, apart from any graph.
        """
    def is_contiguous(self) -> bool:
        """
        Whether the elements lie one after another, as functions need it.
        """
    def item(self) -> typing.Any:
        """
        The value of a tensor of one element.
        """
    def narrow(self, dim: int, start: int, length: int) -> Tensor:
        """
        A view of part of a dimension, apart from any graph.
        """
    def numpy(self) -> numpy.ndarray:
        """
        An array over the tensor's own memory; bf16 by ml_dtypes.
        """
    @property
    def device(self) -> Device:
        """
        That it lies on.
        """
    @property
    def dtype(self) -> str:
        """
        `f32`, `bf16`, `i32` and so on.
        """
    @property
    def nbytes(self) -> int:
        """
        Of its elements.
        """
    @property
    def shape(self) -> tuple[int, ...]:
        """
        A tuple.
        """
    @property
    def strides(self) -> tuple[int, ...]:
        """
        In elements.
        """
class LogicalSlice:
    """
    One piece of a logical tensor in a parameter.
    """
    @property
    def extent(self) -> tuple[int, ...]:
        ...
    @property
    def local_row(self) -> int:
        ...
    @property
    def name(self) -> str:
        ...
    @property
    def primary(self) -> bool:
        ...
    @property
    def shape(self) -> tuple[int, ...]:
        """
        Of the logical tensor.
        """
    @property
    def start(self) -> tuple[int, ...]:
        ...
class Parameter:
    """
    A trained tensor. An Update gives it memory and its initial value.
    """
    def __init__(self, name: str, shape: tuple[int, ...], *, init: str = 'normal', stddev: float = 0.02, decay: bool | None = None) -> None:
        """
        `init` is normal, zeros or ones; `decay` is weight decay, by default of two-dimensional tensors.
        """
    def __repr__(self) -> str:
        ...
    @property
    def data(self) -> Tensor:
        """
        In the compute dtype.
        """
    @property
    def decay(self) -> bool:
        """
        Whether weight decay shrinks it.
        """
    @property
    def grad(self) -> Tensor:
        """
        In f32. Where ranks divide it (`zero`), `reduced` has the sum.
        """
    @property
    def master(self) -> Tensor:
        """
        In f32; the same memory as `data` when computing in f32. Where ranks divide it (`zero`), this rank's part, flat.
        """
    @property
    def name(self) -> str:
        """
        Of this rank's tensor; its slices have logical names.
        """
    @property
    def reduced(self) -> Tensor:
        """
        Flat, in f32: the gradient of what `master` holds, summed over ranks, from the end of a step to the next.
        """
    @property
    def shape(self) -> tuple[int, ...]:
        """
        Of this rank's part, padding included.
        """
    @property
    def slices(self) -> list[LogicalSlice]:
        """
        The logical tensors that it holds parts of.
        """
class Communicator:
    """
    Ranks that call collectives together: all of them, in the same order, with equal shapes and dtypes.
    """
    def all_gather(self, input: Tensor, output: Tensor) -> None:
        """
        `output` is the `input` of each rank, in rank order.
        """
    def all_reduce(self, inout: Tensor, op: str = 'sum') -> None:
        """
        In place; sums of bf16 and f16 are taken in f32, in rank order.
        """
    def all_to_all(self, input: Tensor, output: Tensor) -> None:
        """
        Part r of `input` goes to rank r, and part r of `output` is from it.
        """
    def barrier(self) -> None:
        """
        Waits until all ranks are here.
        """
    def broadcast(self, inout: Tensor, root: int = 0) -> None:
        """
        `inout` becomes that of rank `root`.
        """
    def reduce_scatter(self, input: Tensor, output: Tensor, op: str = 'sum') -> None:
        """
        `output` is this rank's part of the reduced `input`.
        """
    @property
    def name(self) -> str:
        """
        What messages call the group.
        """
    @property
    def rank(self) -> int:
        """
        Of this rank in the group.
        """
    @property
    def size(self) -> int:
        """
        Ranks in the group.
        """
    @property
    def transport(self) -> str:
        """
        What moves the bytes: threads, shm, mpi, shm+mpi (shared memory inside hosts, MPI between them) or none.
        """
class World:
    """
    All ranks of a job as one of them sees it.
    """
    def __repr__(self) -> str:
        ...
    def abort(self, code: int, cause: str = '') -> None:
        """
        Takes all ranks down at once.
        """
    def barrier(self) -> None:
        """
        Waits until all ranks are here.
        """
    def broadcast(self, text: str, *, root: int = 0) -> str:
        """
        Returns the text of rank `root` on every rank.
        """
    def check_collectives(self) -> None:
        """
        From here on ranks compare each call before its data moves: one that differs is a ValueError that names both sides. Every rank calls it, before it makes groups.
        """
    def finalize(self) -> None:
        """
        Waits for all ranks, as long as it takes, and ends the job. A program that ends with status 0 does so by itself, for 10 seconds; one that ends with another takes the ranks down.
        """
    def largest(self, value: int) -> int:
        """
        The largest value of a rank, on every rank. Collective.
        """
    @property
    def backend(self) -> str:
        """
        `mpi`, `local` or `sim`.
        """
    @property
    def communicator(self) -> Communicator:
        """
        Over all ranks.
        """
    @property
    def device(self) -> Device:
        """
        Of this rank.
        """
    @property
    def local_rank(self) -> int:
        """
        Among the ranks of this host.
        """
    @property
    def local_size(self) -> int:
        """
        Ranks on this host.
        """
    @property
    def rank(self) -> int:
        """
        Of this process.
        """
    @property
    def size(self) -> int:
        """
        Ranks of the job.
        """
class Straggler:
    """
    A rank that holds the others up.
    """
    @property
    def excess(self) -> float:
        """
        Seconds of a step above what is expected of it.
        """
    @property
    def part(self) -> str:
        """
        In which it loses most: host, data, forward, backward, reduction or optimizer.
        """
    @property
    def rank(self) -> int:
        """
        Which.
        """
    @property
    def since(self) -> int:
        """
        The first slow step.
        """
class Phase:
    """
    A context in which a rank is in a phase.
    """
    def __enter__(self) -> None:
        ...
    def __exit__(self, *args) -> None:
        ...
class Watch:
    """
    Ends a job that hangs, and tells which rank is late and what all do.
    """
    def write_to(self, path: str) -> None:
        """
        Appends reports to a file as JSON lines, beside what standard error gets.
        """
class Mesh:
    """
    Ranks laid out along named axes.
    """
    def __init__(self, world_size: int, *, data: int = 0, tensor: int = 1, pipeline: int = 1, context: int = 1, placement: collections.abc.Sequence[int] = []) -> None:
        """
        `data=0` takes the ranks that the other axes leave; `placement` is the rank at each position (`place_ranks`), empty for their own order.
        """
    def __str__(self) -> str:
        ...
    def coordinate(self, rank: int, axis: str) -> int:
        """
        Where a rank stands along an axis.
        """
    def rank_map(self) -> str:
        """
        A table: a row a stage, a column a copy of the model, the ranks of a tensor group in a cell.
        """
    def size(self, axis: str) -> int:
        """
        Ranks along an axis.
        """
    @property
    def world_size(self) -> int:
        """
        Ranks.
        """
class ParallelContext:
    """
    A mesh and the communicators over its axes.
    """
    def __init__(self, world: World, mesh: Mesh) -> None:
        """
        Collective over the world.
        """
    def index(self, axis: str) -> int:
        """
        Where this rank stands along an axis.
        """
    def size(self, axis: str) -> int:
        """
        Ranks along an axis.
        """
    @property
    def context(self) -> Communicator:
        """
        The group that divides rows with this rank.
        """
    @property
    def data(self) -> Communicator:
        """
        The group that has the same part of the model.
        """
    @property
    def device(self) -> Device:
        """
        Of this rank.
        """
    @property
    def mesh(self) -> Mesh:
        """
        How ranks are laid out.
        """
    @property
    def pipeline(self) -> Communicator:
        """
        The group of the stages.
        """
    @property
    def tensor(self) -> Communicator:
        """
        The group that divides each layer with this rank.
        """
class TimedAction:
    """
    A forward or backward, and when it ran.
    """
    @property
    def begin(self) -> float:
        ...
    @property
    def chunk(self) -> int:
        """
        Which of the stage's parts of the model, from 0.
        """
    @property
    def end(self) -> float:
        ...
    @property
    def kind(self) -> str:
        """
        `forward`, `backward`, or its halves `backward_input` and `backward_weight`.
        """
    @property
    def microbatch(self) -> int:
        """
        From 0.
        """
class TimedSchedule:
    """
    A pipeline schedule and its run on given times.
    """
    def __str__(self) -> str:
        """
        Each stage's list of actions, exchanges included.
        """
    @property
    def actions(self) -> list[list[TimedAction]]:
        """
        Of each stage, in order; without exchanges and reductions.
        """
    @property
    def bubble(self) -> float:
        """
        Share of the stages' time that is spent without compute.
        """
    @property
    def chunks(self) -> int:
        """
        Parts of the model that a stage holds.
        """
    @property
    def peak_activations(self) -> list[int]:
        """
        Of each stage: how many micro-batches, counted for each chunk, it holds the activations of at the most.
        """
    @property
    def seconds(self) -> float:
        """
        Until the last action of all stages is over.
        """
class Graph:
    """
    Records a forward pass inside `with graph:`, then runs it backward, once. Entering again forgets the last recording.
    """
    def __enter__(self) -> Graph:
        ...
    def __exit__(self, *args) -> None:
        ...
    def __init__(self) -> None:
        ...
    @typing.overload
    def backward(self, loss: Tensor) -> None:
        """
        Runs backward from what cross_entropy or a head returned; the gradients of parameters are added to their buckets.
        """
    @typing.overload
    def backward(self, outputs: collections.abc.Sequence[Tensor], gradients: collections.abc.Sequence[Tensor]) -> None:
        """
        Runs backward from outputs whose gradients are given.
        """
    def gradient(self, leaf: Tensor) -> Tensor | None:
        """
        Takes the gradient of a leaf after backward; None where none reached it.
        """
    def leaf(self, tensor: Tensor) -> Tensor:
        """
        The tensor as one whose gradient is wanted.
        """
class ParameterGroup:
    """
    Parameters that are trained otherwise than the rest.
    """
    def __init__(self, parameters: collections.abc.Sequence[str], *, frozen: bool = False, lr_factor: float = 1.0, weight_decay: float | None = None, adamw: bool = False) -> None:
        ...
    @property
    def adamw(self) -> bool:
        """
        Of muon: whether AdamW trains matrices as well.
        """
    @property
    def frozen(self) -> bool:
        """
        Whether they stay as they are.
        """
    @property
    def lr_factor(self) -> float:
        """
        Times the learning rate.
        """
    @property
    def parameters(self) -> list[str]:
        """
        Patterns of names, as a shell's: `blocks.0.*`.
        """
    @property
    def weight_decay(self) -> float | None:
        """
        Instead of the optimizer's; None: the same.
        """
class OptimizerConfig:
    """
    An update rule: adamw, lion, muon or sgd.
    """
    def __init__(self, *, name: str, beta1: float, beta2: float, eps: float, momentum: float, weight_decay: float, stochastic_rounding: bool = False, groups: collections.abc.Sequence[ParameterGroup] = [], nesterov: bool = True, newton_schulz_steps: int = 5, matrix_scale: str = 'original', adamw_lr_factor: float = 1.0, average_decay: float = 0.0) -> None:
        ...
    @property
    def adamw_lr_factor(self) -> float:
        """
        Of muon: times the learning rate, of what AdamW trains.
        """
    @property
    def average_decay(self) -> float:
        """
        Of an average of the weights; 0: none is kept.
        """
    @property
    def beta1(self) -> float:
        """
        Decay of the gradient's mean.
        """
    @property
    def beta2(self) -> float:
        """
        Decay of its square's mean.
        """
    @property
    def eps(self) -> float:
        """
        Added to the root of that.
        """
    @property
    def groups(self) -> list[ParameterGroup]:
        """
        Parameters that are trained otherwise than the rest.
        """
    @property
    def matrix_scale(self) -> str:
        """
        Of muon: `original` or `match_rms_adamw`.
        """
    @property
    def momentum(self) -> float:
        """
        Of muon and sgd.
        """
    @property
    def name(self) -> str:
        """
        `adamw`, `lion`, `muon` or `sgd`.
        """
    @property
    def nesterov(self) -> bool:
        """
        Of muon: whether the momentum is Nesterov's.
        """
    @property
    def newton_schulz_steps(self) -> int:
        """
        Of muon.
        """
    @property
    def stochastic_rounding(self) -> bool:
        """
        Whether compute copies are rounded at random.
        """
    @property
    def weight_decay(self) -> float:
        """
        Times the learning rate, of matrices.
        """
class ScheduleConfig:
    """
    A learning rate: constant, linear, cosine, wsd or cosine_restarts.
    """
    def __init__(self, *, name: str, learning_rate: float, min_learning_rate: float, warmup_steps: int, total_steps: int, decay_steps: int = 0, decay: str = 'linear', cycle_steps: int = 0, cycle_factor: float = 1.0) -> None:
        ...
    def at(self, step: int) -> float:
        """
        The learning rate of a step, counted from 1.
        """
    @property
    def cycle_factor(self) -> float:
        """
        Of cosine_restarts: each cycle is so many times longer than the one before it.
        """
    @property
    def cycle_steps(self) -> int:
        """
        Of cosine_restarts: of the first cycle.
        """
    @property
    def decay(self) -> str:
        """
        Of wsd: `linear`, `cosine` or `sqrt`.
        """
    @property
    def decay_steps(self) -> int:
        """
        Of wsd: the last, in which it falls.
        """
    @property
    def learning_rate(self) -> float:
        """
        The highest, after warm-up.
        """
    @property
    def min_learning_rate(self) -> float:
        """
        The last.
        """
    @property
    def name(self) -> str:
        """
        `constant`, `linear`, `cosine`, `wsd` or `cosine_restarts`.
        """
    @property
    def total_steps(self) -> int:
        """
        After which it is the last.
        """
    @property
    def warmup_steps(self) -> int:
        """
        In which it rises from 0.
        """
class RopeOptions:
    """
    Frequencies of rotary positions.
    """
    def __init__(self, theta: float, *, scaling: str = 'none', factor: float = 1.0, original_context: int = 0, low_frequency: float = 1.0, high_frequency: float = 4.0, beta_slow: float = 1.0, beta_fast: float = 32.0, attention_factor: float = 0.0, fraction: float = 1.0, short_factors: collections.abc.Sequence[float] = [], long_factors: collections.abc.Sequence[float] = []) -> None:
        ...
    def frequencies(self, head_dim: int, context: int) -> list[float]:
        """
        Radians a position, of each rotated pair of a head.
        """
    @property
    def attention_factor(self) -> float:
        """
        Of yarn and longrope; 0 for what `factor` says.
        """
    @property
    def beta_fast(self) -> float:
        """
        Turns of fast pairs, of yarn.
        """
    @property
    def beta_slow(self) -> float:
        """
        Turns of slow pairs, of yarn.
        """
    @property
    def factor(self) -> float:
        """
        How many times longer the context is.
        """
    @property
    def fraction(self) -> float:
        """
        Of the numbers of a head, that are rotated.
        """
    @property
    def high_frequency(self) -> float:
        """
        Turns of fast pairs, of llama3.
        """
    @property
    def long_factors(self) -> list[float]:
        """
        Of longrope, past the original context.
        """
    @property
    def low_frequency(self) -> float:
        """
        Turns of slow pairs, of llama3.
        """
    @property
    def original_context(self) -> int:
        """
        Tokens of the first training's context.
        """
    @property
    def scaling(self) -> str:
        """
        `none`, `linear`, `llama3`, `yarn` or `longrope`.
        """
    @property
    def short_factors(self) -> list[float]:
        """
        Of longrope, inside the original context.
        """
    @property
    def theta(self) -> float:
        """
        Base of the frequencies.
        """
class Adapter:
    """
    Low-rank adapters beside linear layers that stay as they are.
    """
    def __init__(self, rank: int, *, alpha: float = 0.0, dropout: float = 0.0, rslora: bool = False, targets: collections.abc.Sequence[str] = [], modules_to_save: collections.abc.Sequence[str] = [], tokens: collections.abc.Sequence[int] = []) -> None:
        ...
    @property
    def alpha(self) -> float:
        """
        The scale times rank, or times its root with rslora.
        """
    @property
    def dropout(self) -> float:
        """
        Share of what A takes that is dropped.
        """
    @property
    def modules_to_save(self) -> list[str]:
        """
        Tables that train as well.
        """
    @property
    def rank(self) -> int:
        """
        Rows of A; 0: there are none.
        """
    @property
    def rslora(self) -> bool:
        """
        Whether the scale falls with the root of rank.
        """
    @property
    def scale(self) -> float:
        """
        What the product of A and B is multiplied by.
        """
    @property
    def targets(self) -> list[str]:
        """
        Projections that have one; empty for all.
        """
    @property
    def tokens(self) -> list[int]:
        """
        Ids of which rows of the other tables train.
        """
class Architecture:
    """
    What tells a family of models from another.
    """
    def __init__(self, family: str) -> None:
        ...
    @property
    def activation(self) -> str:
        """
        `gelu`, `swiglu`, `geglu` or `xielu`.
        """
    @property
    def adapter_targets(self) -> list[str]:
        """
        The projections that may have an adapter.
        """
    @property
    def attention_cap(self) -> float:
        """
        That bounds scores; 0: none.
        """
    @property
    def attention_scale(self) -> float:
        """
        Of scores; 0: 1 / sqrt(head_dim).
        """
    @property
    def final_cap(self) -> float:
        """
        That bounds logits; 0: none.
        """
    @property
    def gated(self) -> bool:
        """
        Whether the MLP has a gate.
        """
    @property
    def mlp_bias(self) -> bool:
        """
        Whether the linear layers of the MLP have one.
        """
    @property
    def no_rope_every(self) -> int:
        """
        One layer in so many has no rotary positions.
        """
    @property
    def norm_placement(self) -> str:
        """
        `pre`, `post` or `both`.
        """
    @property
    def norm_plus_one(self) -> bool:
        """
        Whether norms multiply by 1 + their weight.
        """
    @property
    def output_bias(self) -> bool:
        """
        Whether the projection behind attention has one.
        """
    @property
    def qk_norm(self) -> str:
        """
        `none`, `head` or `full`.
        """
    @property
    def qkv_bias(self) -> bool:
        """
        Whether query, key and value have one.
        """
    @property
    def rope(self) -> RopeOptions:
        """
        How fast positions turn.
        """
    @property
    def rotary(self) -> bool:
        """
        Whether positions are rotations; else a table.
        """
    @property
    def scale_embedding(self) -> bool:
        """
        Whether embeddings are multiplied by sqrt(hidden).
        """
    @property
    def window(self) -> int:
        """
        Keys that a query sees in layers with a window; 0: all.
        """
    @property
    def window_from(self) -> int:
        """
        The first layer with a window.
        """
    @property
    def window_full_every(self) -> int:
        """
        One layer in so many has no window.
        """
    @property
    def window_rope_theta(self) -> float:
        """
        Base of rotary positions in layers with a window.
        """
class ModelConfig:
    """
    A decoder-only transformer.
    """
    def __init__(self, *, family: str, layers: int, hidden: int, heads: int, kv_heads: int, head_dim: int | None, ffn_hidden: int, context: int, vocab: int, dropout: float, tie_embeddings: bool, norm_eps: float, qkv_bias: bool, output_bias: bool, mlp_bias: bool, qk_norm: str, rope: RopeOptions, no_rope_every: int, adapter: Adapter | None = None, window: int = 0, window_from: int = 0, window_full_every: int = 0, attention_scale: float = 0.0, attention_cap: float = 0.0, final_cap: float = 0.0, norm_placement: str, norm_plus_one: bool, activation: str, scale_embedding: bool, window_rope_theta: float = 0.0) -> None:
        ...
    @property
    def adapter(self) -> Adapter:
        """
        What is trained beside it.
        """
    @property
    def architecture(self) -> Architecture:
        """
        Its choices.
        """
    @property
    def context(self) -> int:
        """
        Tokens in a sequence.
        """
    @property
    def dropout(self) -> float:
        """
        Share of the residual branches' outputs that is dropped.
        """
    @property
    def family(self) -> str:
        """
        The family whose choices it started from.
        """
    @property
    def ffn_hidden(self) -> int:
        """
        Width inside the MLP.
        """
    @property
    def flops_per_token(self) -> float:
        """
        Floating-point operations that training on a token needs.
        """
    @property
    def head_dim(self) -> int:
        """
        Width of a head.
        """
    @property
    def heads(self) -> int:
        """
        Of queries.
        """
    @property
    def hidden(self) -> int:
        """
        Width of the residual stream.
        """
    @property
    def kv_heads(self) -> int:
        """
        Of keys and values.
        """
    @property
    def layers(self) -> int:
        """
        Blocks.
        """
    @property
    def norm_eps(self) -> float:
        """
        Added to the variance in each norm.
        """
    @property
    def parameters(self) -> int:
        """
        Numbers of the model, tied tables once.
        """
    @property
    def tie_embeddings(self) -> bool:
        """
        Whether the head is the token embedding.
        """
    @property
    def trained_parameters(self) -> int:
        """
        Those that train, of adapters where there are some; groups of the optimizer do not count.
        """
    @property
    def vocab(self) -> int:
        """
        Rows of the token embedding, without padding.
        """
class TokenFileWriter:
    """
    Writes PREFIX.bin and PREFIX.idx in Megatron's format; nothing is seen under these names before close().
    """
    def __init__(self, prefix: os.PathLike | str | bytes, *, dtype: str, end_of_document: int | None = None, masked: bool = False) -> None:
        """
        `masked`: PREFIX.mask is written as well, which says of each token whether it is trained.
        """
    def add_document(self, tokens: numpy.typing.ArrayLike, mask: numpy.typing.ArrayLike | None = None) -> None:
        """
        Appends integers, and the end of document where there is one. `mask` is 1 for each that is trained, else 0; None: all are.
        """
    def append(self, tokens: numpy.typing.ArrayLike, mask: numpy.typing.ArrayLike | None = None) -> None:
        """
        Adds to the document at hand; `mask` as for `add_document`.
        """
    def close(self) -> None:
        """
        Makes all files durable. At most once.
        """
    def end_document(self) -> None:
        """
        Ends the document at hand.
        """
    @property
    def documents(self) -> int:
        """
        That were added.
        """
    @property
    def tokens(self) -> int:
        """
        That were added, ends included.
        """
class TokenFile:
    """
    Documents of token ids in mapped files.
    """
    def __getitem__(self, document: int) -> numpy.typing.NDArray[numpy.int32]:
        """
        The tokens of a document, i32.
        """
    def __init__(self, prefix: os.PathLike | str | bytes) -> None:
        ...
    def __len__(self) -> int:
        ...
    def check_vocab(self, vocab: int) -> None:
        """
        Reads every token once; ValueError names the first outside.
        """
    def document_length(self, document: int) -> int:
        """
        Tokens of a document in [0, len(self)).
        """
    def mask(self, document: int) -> numpy.typing.NDArray[numpy.uint8]:
        """
        u8: 1 for each token of a document that is trained, else 0.
        """
    def read(self, document: int, begin: int, tokens: int) -> numpy.typing.NDArray[numpy.int32]:
        """
        So many tokens of a document from `begin` on, i32.
        """
    @property
    def dtype(self) -> str:
        """
        Of the tokens in the file.
        """
    @property
    def masked(self) -> bool:
        """
        Whether there is a PREFIX.mask.
        """
    @property
    def prefix(self) -> str:
        """
        Path without suffix.
        """
    @property
    def tokens(self) -> int:
        """
        Of all documents.
        """
    @property
    def trained(self) -> int:
        """
        How many tokens are; all where there is no mask.
        """
class Batch:
    """
    One rank's share of a step.
    """
    def __init__(self, tokens: numpy.typing.ArrayLike, targets: numpy.typing.ArrayLike, device: Device, *, samples: numpy.typing.ArrayLike | None = None, step: int = 0, starts: numpy.typing.ArrayLike | None = None) -> None:
        """
        From integers [samples, context]; `samples` are their indices in the run, of which dropout depends. `starts`: of each token the place in its row where its document begins; None: rows are one document each.
        """
    @property
    def samples(self) -> Tensor:
        """
        i64 [samples]: their indices in the run.
        """
    @property
    def starts(self) -> Tensor | None:
        """
        i32 [samples, context]: the place in its row where the document of each token begins; None: rows are one document each.
        """
    @property
    def step(self) -> int:
        """
        The step that it is for, counted from 0.
        """
    @property
    def targets(self) -> Tensor:
        """
        i32 [samples, context]: the token after each.
        """
    @property
    def tokens(self) -> Tensor:
        """
        i32 [samples, context].
        """
class Corpus:
    """
    Token files, blended by weight.
    """
    def __init__(self, sources: collections.abc.Sequence[tuple[os.PathLike | str | bytes, float]], *, context: int, vocab: int, seed: int, shuffled: bool = True, documents: str = 'auto') -> None:
        """
        `sources` are pairs of prefix and weight; without `shuffled` the samples are the same whatever the seed (validation). `documents`: joined, separate (packed, none sees another), or auto: separate where the sources have masks; or pairs: documents 2k and 2k + 1 are a row, the answer that was preferred and the other one.
        """
    def check_vocab(self) -> None:
        """
        Reads every token once; ValueError names the first outside.
        """
    def read_reference(self, path: os.PathLike | str | bytes, *, bound_to: str) -> None:
        """
        Takes what was written; ValueError where it is damaged, or bound to something else.
        """
    def write_reference(self, path: os.PathLike | str | bytes, *, bound_to: str) -> None:
        """
        Writes what `measure_reference` found; `bound_to` says of what.
        """
    @property
    def epoch_samples(self) -> int:
        """
        Samples until every file has been read once.
        """
    @property
    def left_out_pairs(self) -> int:
        """
        Pairs that are longer than a row, or with nothing to train.
        """
    @property
    def separate(self) -> bool:
        """
        Whether documents are packed.
        """
    @property
    def source_samples(self) -> list[int]:
        """
        The same of each file.
        """
    @property
    def split_documents(self) -> int:
        """
        Documents longer than a row, where they are separate.
        """
    @property
    def tokens(self) -> int:
        """
        In all files.
        """
    @property
    def trained(self) -> int:
        """
        Tokens that masks do not leave out.
        """
class DataLoader:
    """
    Batches in the order of steps, read ahead by a thread; the same samples for every layout.
    """
    def __init__(self, corpus: Corpus, *, global_batch: int, data_rank: int = 0, data_size: int = 1, prefetch: int = 2) -> None:
        ...
    def next(self, device: Device) -> Batch:
        """
        The batch of `step`; waits until it has been read.
        """
    def seek(self, step: int) -> None:
        """
        Goes on with the batch of a step, counted from 0.
        """
    @property
    def samples_per_rank(self) -> int:
        """
        Of a batch.
        """
    @property
    def step(self) -> int:
        """
        Of the batch that `next` returns, counted from 0.
        """
class ForeignTensor:
    """
    Where a logical tensor lies in a safetensors file of others.
    """
    def __init__(self, file: os.PathLike | str | bytes, name: str, *, first_row: int = 0, transposed: bool = False, rows: collections.abc.Sequence[int] = [], known_rows: int = 0, new_rows: int = 0) -> None:
        ...
class SafetensorsFile:
    """
    The arrays of a file by name, a mapping. Each is read when it is asked for; one of a type that cannot be read is a ValueError then.
    """
    def __contains__(self, name: str) -> bool:
        ...
    def __getitem__(self, name: str) -> numpy.ndarray:
        ...
    def __iter__(self) -> collections.abc.Iterator:
        ...
    def __len__(self) -> int:
        ...
    def check_finite(self) -> None:
        """
        ValueError names the first tensor that holds a NaN or infinity.
        """
    def items(self) -> list[tuple[str, numpy.ndarray]]:
        ...
    def keys(self) -> list[str]:
        """
        The names, in the order of their data.
        """
    def values(self) -> list[numpy.ndarray]:
        ...
    @property
    def metadata(self) -> dict[str, str]:
        ...
    @property
    def types(self) -> dict[str, str]:
        """
        What the file calls the type of each tensor: F32, BOOL, ...
        """
class SavedTensor:
    """
    A logical tensor in a checkpoint, or a part of the optimizer's state of it, whatever ranks wrote it.
    """
    @property
    def boxes(self) -> list[str]:
        """
        Its parts, each in one file: `[0, 8) x [4, 6)`.
        """
    @property
    def dtype(self) -> str:
        """
        In the files.
        """
    @property
    def fault(self) -> str:
        """
        Why it is not whole; empty if it is.
        """
    @property
    def key(self) -> str:
        """
        NAME, or optimizer.PART/NAME.
        """
    @property
    def name(self) -> str:
        """
        Of the logical tensor.
        """
    @property
    def part(self) -> str:
        """
        Empty for the weights, `m`, `v`, ... for state.
        """
    @property
    def shape(self) -> tuple[int, ...]:
        """
        Unpadded.
        """
class TensorDifference:
    """
    How far two tensors are.
    """
    @property
    def absolute(self) -> float:
        """
        The largest |a - b|; infinite where a value that is not finite differs.
        """
    @property
    def elements(self) -> int:
        """
        Whose bits differ.
        """
    @property
    def relative(self) -> float:
        """
        The largest |a - b| / max(|a|, |b|), in the same way.
        """
class Verification:
    """
    What was found in a checkpoint.
    """
    @property
    def bytes(self) -> int:
        """
        Of all files.
        """
    @property
    def faults(self) -> list[str]:
        """
        A line for each; empty for a sound checkpoint.
        """
    @property
    def files(self) -> int:
        """
        That the manifest lists.
        """
    @property
    def tensors(self) -> int:
        """
        Logical ones, optimizer state included.
        """
class SpikeConfig:
    """
    Which steps are bad, and what is done then.
    """
    def __init__(self, *, on_spike: str = 'stop', deviations: float = 0.0, window: int = 64, most_skips: int = 3) -> None:
        ...
    @property
    def deviations(self) -> float:
        """
        From the median to where a spike begins; 0: only what is not finite is bad.
        """
    @property
    def most_skips(self) -> int:
        """
        In a row.
        """
    @property
    def on_spike(self) -> str:
        """
        `stop`, `skip` or `rerun`.
        """
    @property
    def window(self) -> int:
        """
        Good steps that a step is compared with.
        """
class UpdateConfig:
    """
    How weights change.
    """
    def __init__(self, *, optimizer: OptimizerConfig, schedule: ScheduleConfig, clip_grad_norm: float, compute_dtype: str, bucket_bytes: int, seed: int, initial_loss_scale: float = 65536.0, loss_scale_window: int = 1000, initial_values: bool = True, zero: int = 0, zero_group: int = 0, zero_prefetch: int = 1, reduce_wire: str = 'f32') -> None:
        """
        The two of the loss scale have a meaning in f16 alone. Without initial_values weights are zero until they are loaded.
        """
    @property
    def bucket_bytes(self) -> int:
        """
        About how much of the gradient is reduced at once.
        """
    @property
    def clip_grad_norm(self) -> float:
        """
        Longest gradient; 0 for any.
        """
    @property
    def compute_dtype(self) -> str:
        """
        Of weights and activations in forward and backward.
        """
    @property
    def initial_loss_scale(self) -> float:
        """
        In f16, of the first step.
        """
    @property
    def initial_values(self) -> bool:
        """
        Whether weights are drawn; else they are zero until they are loaded, new adapters apart.
        """
    @property
    def loss_scale_window(self) -> int:
        """
        In f16, steps without overflow until the scale doubles.
        """
    @property
    def optimizer(self) -> OptimizerConfig:
        """
        The update rule.
        """
    @property
    def reduce_wire(self) -> str:
        """
        With zero=2 and 3, the type in which gradients travel.
        """
    @property
    def schedule(self) -> ScheduleConfig:
        """
        The learning rate of each step.
        """
    @property
    def seed(self) -> int:
        """
        Of initial values and dropout.
        """
    @property
    def zero(self) -> int:
        """
        What ranks of data x context divide: 1 masters and optimizer state, 2 gradients as well, 3 weights as well.
        """
    @property
    def zero_group(self) -> int:
        """
        Neighbours that divide it; 0 for all.
        """
    @property
    def zero_prefetch(self) -> int:
        """
        With zero=3, buckets of weights that are brought ahead.
        """
class PreferenceConfig:
    """
    How a model learns which of two answers to prefer.
    """
    def __init__(self, *, beta: float, label_smoothing: float = 0.0, variant: str = 'sigmoid', stored_reference: bool = False) -> None:
        """
        `stored_reference`: batches say what the reference thinks of their pairs; else it is the model without its adapters.
        """
    @property
    def beta(self) -> float:
        """
        How much the reference holds.
        """
    @property
    def label_smoothing(self) -> float:
        """
        Share of the pairs that are turned round.
        """
    @property
    def stored_reference(self) -> bool:
        """
        Whether batches bring it.
        """
    @property
    def variant(self) -> str:
        """
        Which loss it is.
        """
class Rewards:
    """
    What a model has learned of pairs: means over those of a global batch.
    """
    @property
    def accuracy(self) -> float:
        """
        Share of the pairs whose chosen reward is the higher.
        """
    @property
    def chosen(self) -> float:
        """
        beta x (log p - log p of the reference) of the answers that were preferred.
        """
    @property
    def margin(self) -> float:
        """
        Their difference.
        """
    @property
    def rejected(self) -> float:
        """
        Of the other ones.
        """
class EngineConfig:
    """
    A model and how it is trained.
    """
    def __init__(self, *, model: ModelConfig, update: UpdateConfig, global_batch: int, micro_batch: int, recompute: str, deferred_weights: bool, pipeline_schedule: str, layers_per_stage: collections.abc.Sequence[int], replays_steps: bool = True, tf32: bool = False, spikes: SpikeConfig | None = None, hash_every: int = 0, preference: PreferenceConfig | None = None, chunks: int = 0, recompute_layers: int | None = None, sequence: bool | None = None, z_loss: float = 0.0, label_smoothing: float = 0.0, context_method: str = 'auto', ulysses_group: int = 0, context_neighbours: int = 0) -> None:
        ...
    def validate(self, mesh: Mesh) -> None:
        """
        ValueError where model, batch and mesh do not fit; allocates nothing.
        """
    @property
    def chunks(self) -> int:
        """
        Of the model, on a stage; 0: the schedule's fewest.
        """
    @property
    def context_method(self) -> str:
        """
        How ranks that divide rows see one another's keys.
        """
    @property
    def context_neighbours(self) -> int:
        """
        How many neighbours of them are near one another; 0: all.
        """
    @property
    def deferred_weights(self) -> bool:
        """
        Whether weight gradients are left for later.
        """
    @property
    def global_batch(self) -> int:
        """
        Samples of a step, over all ranks.
        """
    @property
    def hash_every(self) -> int:
        """
        Steps after which replicas compare their bits.
        """
    @property
    def label_smoothing(self) -> float:
        """
        Of a target, what all tokens share.
        """
    @property
    def layers_per_stage(self) -> list[int]:
        """
        Of each stage; empty where the core divides them.
        """
    @property
    def micro_batch(self) -> int:
        """
        Samples that go through the model at once.
        """
    @property
    def model(self) -> ModelConfig:
        """
        Its sizes.
        """
    @property
    def pipeline_schedule(self) -> str:
        """
        One of `schedule_names`.
        """
    @property
    def preference(self) -> PreferenceConfig | None:
        """
        How answers are preferred; None: the next token is learned.
        """
    @property
    def recompute(self) -> str:
        """
        What backward computes again of a block: none, selective or block.
        """
    @property
    def recompute_layers(self) -> int | None:
        """
        In the first blocks of each stage; None: in all.
        """
    @property
    def replays_steps(self) -> bool:
        """
        Whether a GPU replays a step as a CUDA graph.
        """
    @property
    def sequence(self) -> bool | None:
        """
        Whether training divides tokens among a tensor group; None: where it can.
        """
    @property
    def spikes(self) -> SpikeConfig:
        """
        Which steps are bad, and what is done then.
        """
    @property
    def tf32(self) -> bool:
        """
        Whether GPUs multiply f32 in TF32.
        """
    @property
    def ulysses_group(self) -> int:
        """
        How many of them exchange heads; 0: as many as can.
        """
    @property
    def update(self) -> UpdateConfig:
        """
        How its weights change.
        """
    @property
    def z_loss(self) -> float:
        """
        What the loss has of the square of the logits' log sum.
        """
class Update:
    """
    The weights of a rank and how they change: begin_step, forward and backward of each micro-batch, finish. All ranks make the same calls.
    """
    def __init__(self, parameters: collections.abc.Sequence[Parameter], config: UpdateConfig, context: ParallelContext, *, sums: int = 0) -> None:
        """
        Gives the parameters, in the order of forward, their memory and initial values. One that a micro-batch uses twice is listed twice. `sums` further numbers are summed over ranks with the norm.
        """
    def begin_step(self, micro_batches: int = 1) -> None:
        """
        Begins a step of so many micro-batches.
        """
    def finish(self) -> None:
        """
        Reduces the gradients over ranks, clips, and updates the weights, unless the norm is not finite; in f16 the loss scale then halves.
        """
    def forward_context(self, *, training: bool = False, samples: Tensor | None = None, starts: Tensor | None = None) -> nn.ForwardContext:
        """
        What layers are called with, at this step; see ForwardContext.
        """
    def load(self, path: os.PathLike | str | bytes, *, config: dict | str = '{}') -> str:
        """
        Goes on from a checkpoint of the same parameters on any layout; returns the state that it was saved with, as a str of JSON. Collective.
        """
    def refresh(self) -> None:
        """
        Rounds the master weights to the compute type, after writing to them.
        """
    def save(self, root: os.PathLike | str | bytes, *, config: dict | str = '{}', state: dict | str = '{}') -> str:
        """
        Saves weights and optimizer as ROOT/step-N/ and returns that path. `config` is a dict, or a str of JSON, that must be the same to load it; `state` is one that load gives back, as a str of JSON. Collective.
        """
    def set_sum(self, index: int, value: Tensor) -> None:
        """
        This rank's part of a sum, a loss f64 [1]; after begin_step.
        """
    @property
    def grad_norm(self) -> float:
        """
        After finish: the norm of the whole gradient before clipping.
        """
    @property
    def learning_rate(self) -> float:
        """
        Of the step begun last. One that is set counts from the next step on instead of the schedule's, until None is set.
        """
    @learning_rate.setter
    def learning_rate(self, arg1: float | None) -> None:
        ...
    @property
    def loss_scale(self) -> float:
        """
        What a loss's gradient must be multiplied by in this step: 1 but in f16. A head does so by itself. Waits for the device.
        """
    @property
    def step(self) -> int:
        """
        Steps begun.
        """
    @step.setter
    def step(self, arg1: int) -> None:
        ...
    @property
    def sums(self) -> list[float]:
        """
        After finish: the sums over all ranks.
        """
class SaveOutcome:
    """
    How a checkpoint ended.
    """
    def check(self) -> None:
        """
        Raises the error, if there is one.
        """
    @property
    def bytes(self) -> int:
        """
        Of its files.
        """
    @property
    def error(self) -> str:
        """
        Why there is none; empty where there is.
        """
    @property
    def path(self) -> str:
        """
        Of the checkpoint.
        """
    @property
    def seconds(self) -> float:
        """
        From its beginning until it was complete on the disk.
        """
    @property
    def stall_seconds(self) -> float:
        """
        In which this rank did nothing else.
        """
    @property
    def step(self) -> int:
        """
        Steps done.
        """
    @property
    def write_seconds(self) -> float:
        """
        Of the rank that wrote longest.
        """
class StepResult:
    """
    What came out of a step.
    """
    def __repr__(self) -> str:
        ...
    @property
    def asked_to_save(self) -> bool:
        """
        As asked_to_stop.
        """
    @property
    def asked_to_stop(self) -> bool:
        """
        Whether a rank had asked before it began this step; the same on all ranks.
        """
    @property
    def cause(self) -> str:
        """
        Why it was skipped: `loss_not_finite`, `grad_norm_not_finite`, `loss_spike`, `grad_norm_spike`, `gradient_overflow`; empty for others.
        """
    @property
    def counted(self) -> int:
        """
        Tokens of the global batch that count: those whose target is not below 0; of pairs, these.
        """
    @property
    def grad_norm(self) -> float:
        """
        Before clipping.
        """
    @property
    def label_smoothing_loss(self) -> float | None:
        """
        As z_loss.
        """
    @property
    def learning_rate(self) -> float:
        """
        Of this step.
        """
    @property
    def limit(self) -> float:
        """
        Of a spike: what it is above.
        """
    @property
    def loss(self) -> float:
        """
        Mean over the tokens of the global batch that count.
        """
    @property
    def loss_scale(self) -> float:
        """
        What the loss was multiplied by in backward; 1 but in f16.
        """
    @property
    def median(self) -> float:
        """
        Of a spike: of the good steps before it.
        """
    @property
    def rewards(self) -> Rewards | None:
        """
        What was learned of pairs: Rewards; None of others.
        """
    @property
    def saved(self) -> SaveOutcome | None:
        """
        How a checkpoint ended that was begun before this step, where it did: a SaveOutcome, the same on all ranks.
        """
    @property
    def skipped(self) -> bool:
        """
        The weights are as before: the step was bad, or a gradient overflowed at this loss scale, which halves.
        """
    @property
    def slow_link(self) -> tuple[int, int] | None:
        """
        On rank 0, after watch_stragglers: the ranks whose link is slow and holds steps up; None where there is none.
        """
    @property
    def slow_link_seconds(self) -> float | None:
        """
        By which it holds each step up.
        """
    @property
    def step(self) -> int:
        """
        Counted from 1.
        """
    @property
    def straggler_news(self) -> list[str]:
        """
        Lines on which rank or link has become slow, or is so no more.
        """
    @property
    def stragglers(self) -> list[Straggler]:
        """
        On rank 0, after watch_stragglers: who is late, the worst first.
        """
    @property
    def transient_fault(self) -> bool:
        """
        It was bad at first and is good now: a fault of the machine.
        """
    @property
    def why(self) -> str:
        """
        What is wrong with a step that was skipped, or computed twice, in words; empty for others.
        """
    @property
    def z_loss(self) -> float | None:
        """
        What the loss had of it beside `loss`; None without such terms.
        """
class Engine:
    """
    One rank of a training job. Every rank makes the same calls with its own samples.
    """
    def __init__(self, config: EngineConfig, context: ParallelContext) -> None:
        """
        Checks that all fits, then builds this rank's stage and gives the weights their initial values.
        """
    def ask_to_save(self) -> None:
        """
        Asks all ranks for a checkpoint, as ask_to_stop.
        """
    def ask_to_stop(self) -> None:
        """
        Asks all ranks to stop: the result of the step that this rank begins next says so on each. From any thread.
        """
    def begin_save(self, root: os.PathLike | str | bytes, *, config: dict | str = '{}', state: dict | str = '{}') -> None:
        """
        Starts what save does in one; the result of a later step, or finish_save, says how it ended. Collective.
        """
    def collect(self) -> StepResult:
        """
        Waits for the oldest step that was submitted. NonFiniteError leaves the weights as they were before it; steps submitted after it are void.
        """
    @typing.overload
    def evaluate(self, batch: Batch) -> float:
        """
        The mean loss over the tokens of all ranks that count, without training. ValueError where none does.
        """
    @typing.overload
    def evaluate(self, batches: collections.abc.Iterable[Batch]) -> float:
        """
        The same over all tokens of several batches.
        """
    def finish_save(self) -> SaveOutcome | None:
        """
        Waits for the end of a save that was begun; None where there is none. Collective.
        """
    def gather(self, value: str = 'master', *, copy: bool = True, adapter: bool = False) -> dict:
        """
        Whole parameters (or gradients, by `grad`, in f16 times the loss scale) by logical name, on rank 0; empty on the others. With copy=False arrays are read-only, and those that rank 0 holds whole show its weights, which change with the next step. With adapter=True without the base of adapters. Collective.
        """
    def load(self, path: os.PathLike | str | bytes, *, config: dict | str = '{}') -> str:
        """
        Goes on from a checkpoint of any layout; returns the state that it was saved with, as a str of JSON. Collective.
        """
    def load_foreign(self, tensors: collections.abc.Mapping[str, ForeignTensor]) -> None:
        """
        Sets this rank's weights from files of others, by logical name; each rank reads its own part. Adapters of which nothing is said stay as they are. Collective.
        """
    def logits(self, tokens: Tensor | numpy.typing.ArrayLike) -> Tensor:
        """
        Logits [B, T, vocab] of tokens [B, T], integers or a Tensor of i32; on one pipeline stage.
        """
    def merge_adapters(self) -> None:
        """
        Makes the adapters part of the weights, in f32, and ineffective themselves. RuntimeError where weights are kept in another type.
        """
    def prepare_saves(self, *, asynchronous: bool, bytes_per_second: float = 0.0, bytes_per_file: int = 16777216) -> None:
        """
        How begin_save works. Asynchronous saves copy the state into host memory that is taken here and are written from there, at most `bytes_per_second` a rank (0: no limit), while training goes on. Data replicas divide files of more than `bytes_per_file`.
        """
    def refresh(self) -> None:
        """
        Rounds the master weights to the compute type, after writing to them.
        """
    def sample_losses(self, batch: Batch) -> list[float]:
        """
        The sum of the losses of each sample of a batch, over its tokens that count: -log of its likelihood. With train.micro_batch=1 and parallel.data=1; all ranks call it.
        """
    def save(self, root: os.PathLike | str | bytes, *, config: dict | str = '{}', state: dict | str = '{}') -> str:
        """
        Saves weights and optimizer as ROOT/step-N/ and returns that path. `config` is a dict, or a str of JSON, that must be the same to load it; `state` is one that load gives back, as a str of JSON. Collective.
        """
    def scatter(self, arrays: collections.abc.Mapping[str, numpy.ndarray]) -> None:
        """
        Sets this rank's weights from whole arrays by logical name: all of the model's, of fractions that are finite. Collective.
        """
    def step(self, batch: Batch) -> StepResult:
        """
        One training step, submit and collect. NonFiniteError leaves the weights as they were.
        """
    def submit(self, batch: Batch) -> None:
        """
        Gives a step to the device without waiting for it; a few may wait to be collected.
        """
    def watch_stragglers(self, steps: int) -> None:
        """
        From here on the results on rank 0 tell which rank, or link between ranks, is slow for so many steps. Collective.
        """
    @property
    def config(self) -> EngineConfig:
        """
        What it was made from.
        """
    @property
    def context(self) -> ParallelContext:
        """
        The mesh and this rank's place in it.
        """
    @property
    def context_text(self) -> str:
        """
        How ranks that divide rows see one another's keys, in words; empty where rows are whole.
        """
    @property
    def device(self) -> Device:
        """
        That the model lies on.
        """
    @property
    def divides_tokens(self) -> bool:
        """
        Whether a step divides tokens among the tensor group.
        """
    @property
    def division(self) -> str:
        """
        What ranks of data x context divide, in words; empty where nothing.
        """
    @property
    def failed_alike(self) -> bool:
        """
        Whether collect has raised what it raised on every rank: a step was bad, or replicas differ.
        """
    @property
    def layers(self) -> list[tuple[int, int]]:
        """
        First and past-the-last layer of each of this rank's chunks.
        """
    @property
    def micro_batches(self) -> int:
        """
        Of a step.
        """
    @property
    def parameters(self) -> list[Parameter]:
        """
        Those of this rank, in the order of forward.
        """
    @property
    def replicas_differ(self) -> bool:
        """
        Whether collect has found ranks that should hold the same bits and do not; the same on all ranks.
        """
    @property
    def replicas_equal_at(self) -> int:
        """
        The last step after which they did hold the same; 0 before.
        """
    @property
    def samples(self) -> int:
        """
        Of this rank in a step.
        """
    @property
    def saving(self) -> bool:
        """
        Whether a save was begun and nobody was told its end yet; the same on all ranks.
        """
    @property
    def staging_bytes(self) -> int:
        """
        Of host memory that this rank keeps for copies.
        """
    @property
    def steps_done(self) -> int:
        """
        Steps done.
        """
    @steps_done.setter
    def steps_done(self, arg1: int) -> None:
        ...
    @property
    def submitted(self) -> int:
        """
        Steps that wait to be collected.
        """
    @property
    def whole_tokens(self) -> str:
        """
        Why a step does not, where nobody forbade it, in words; else empty.
        """
class Continuation:
    """
    What follows a prompt.
    """
    @property
    def end(self) -> str:
        """
        Why it ends: `tokens` (so many were asked for), `stop` (a token of `stops` was drawn), `context` (it is full), `caller` (on_token returned False).
        """
    @property
    def tokens(self) -> list[int]:
        """
        Ids, without the one that stopped the text.
        """
class Decoder:
    """
    Draws texts from an engine's model, and keeps keys and values, so that each token is computed once.
    """
    def __init__(self, engine: Engine) -> None:
        ...
    def forget(self) -> None:
        """
        Before the next call where weights were set since the last one; a training step is noticed.
        """
    def generate(self, prompts: collections.abc.Sequence[collections.abc.Sequence[int]], *, tokens: int, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0, min_p: float = 0.0, repetition_penalty: float = 1.0, seed: int = 0, first_prompt: int = 0, stops: collections.abc.Sequence[int] = [], on_token: collections.abc.Callable | None = None) -> list[Continuation]:
        """
        Continues each list of token ids by at most `tokens`; returns a Continuation each. Temperature 0 takes the likeliest token. A draw depends on the seed, the prompt's index, counted from first_prompt, and the token's. on_token(prompt, token) is called with each token; False ends that text. A text ends where model.context tokens are full. What the last call left of a prompt's beginning is not computed again. All ranks call it.
        """
    @property
    def cache_bytes(self) -> int:
        """
        Of keys and values on this rank.
        """
class Span:
    """
    Something that a rank did, as recorded.
    """
    @property
    def begin_ns(self) -> int:
        ...
    @property
    def bytes(self) -> float:
        """
        Read and written by an op, moved by a collective.
        """
    @property
    def detail(self) -> str:
        """
        Group of a collective and of a wait for it; what an action does.
        """
    @property
    def end_ns(self) -> int:
        ...
    @property
    def flops(self) -> float:
        ...
    @property
    def index(self) -> int:
        """
        Micro-batch of an action, number of a step, else -1.
        """
    @property
    def kind(self) -> str:
        """
        op, collective, wait, action or step.
        """
    @property
    def name(self) -> str:
        ...
class Peak:
    """
    What a rank's threads reach, a second.
    """
    @property
    def bf16_flops(self) -> float:
        ...
    @property
    def bytes(self) -> float:
        """
        Read and written past the caches.
        """
    @property
    def f32_flops(self) -> float:
        """
        Of large matmuls.
        """
class RankTrace:
    """
    What one rank recorded, on the clock of rank 0.
    """
    @property
    def clock_error_ns(self) -> int:
        """
        At most so wrong is the offset.
        """
    @property
    def clock_offset_ns(self) -> int:
        """
        Of its clock to that of rank 0; taken off the spans.
        """
    @property
    def host(self) -> str:
        ...
    @property
    def peak(self) -> Peak:
        ...
    @property
    def rank(self) -> int:
        ...
    @property
    def spans(self) -> list[Span]:
        ...
class OpRow:
    """
    One op, summed over ranks and steps.
    """
    @property
    def bound(self) -> str:
        """
        compute or memory: what it is closer to the peak of.
        """
    @property
    def bytes_per_second(self) -> float:
        """
        The same.
        """
    @property
    def calls(self) -> int:
        ...
    @property
    def flops_per_second(self) -> float:
        """
        Of a rank, while it is in the op.
        """
    @property
    def name(self) -> str:
        ...
    @property
    def of_peak(self) -> float:
        """
        How close it is to what bounds it; above 1 where its tensors lie in a cache.
        """
    @property
    def seconds(self) -> float:
        ...
    @property
    def share(self) -> float:
        """
        Of the ranks' time in steps.
        """
class CollectiveRow:
    """
    One collective of one group, summed over ranks and steps.
    """
    @property
    def bytes(self) -> float:
        ...
    @property
    def calls(self) -> int:
        ...
    @property
    def exposed_seconds(self) -> float:
        """
        In which a rank waits for it and computes nothing.
        """
    @property
    def group(self) -> str:
        ...
    @property
    def name(self) -> str:
        ...
    @property
    def seconds(self) -> float:
        """
        From when a rank first drives it until it is done.
        """
class TimeShares:
    """
    Parts of the ranks' time in steps; together 1.
    """
    @property
    def attention(self) -> float:
        ...
    @property
    def exposed_communication(self) -> float:
        ...
    @property
    def matmul(self) -> float:
        ...
    @property
    def other(self) -> float:
        ...
class Profile:
    """
    Where the time of some steps has gone.
    """
    @property
    def collectives(self) -> list[CollectiveRow]:
        """
        The same.
        """
    @property
    def ops(self) -> list[OpRow]:
        """
        The longest first.
        """
    @property
    def peak(self) -> Peak:
        """
        Mean of the ranks.
        """
    @property
    def shares(self) -> TimeShares:
        ...
    @property
    def step_seconds(self) -> float:
        ...
    @property
    def steps(self) -> int:
        ...
class RankLocation:
    """
    Where one rank of a job runs.
    """
    @property
    def cores(self) -> str:
        """
        That it may run on, such as `0-15,32-47`.
        """
    @property
    def device(self) -> str:
        """
        Name of the GPU, or of the processor.
        """
    @property
    def domain(self) -> str:
        """
        Equal for ranks that reach one another over the fastest links.
        """
    @property
    def domain_source(self) -> str:
        """
        How the domain is known, or why it is not.
        """
    @property
    def host(self) -> str:
        ...
    @property
    def memory(self) -> int:
        """
        Bytes that its tensors may take: nine tenths of its GPU, or of its even share of the host; 0 where it is not known.
        """
    @property
    def numa_node(self) -> int:
        """
        -1 where it is not known.
        """
    @property
    def rank(self) -> int:
        ...
    @property
    def threads(self) -> int:
        ...
class NetworkReport:
    """
    How fast ranks and the links between them are.
    """
    def outliers(self, locations: collections.abc.Sequence[RankLocation]) -> list[str]:
        """
        A line for each rank, domain or pair below 0.8 of the median.
        """
    def table(self, locations: collections.abc.Sequence[RankLocation]) -> str:
        ...
    @property
    def rounds(self) -> int:
        """
        Of pairs that were measured at once.
        """
class HalfSizes:
    """
    Sizes of a product at which it takes twice the time of its arithmetic.
    """
    def __init__(self, *, rows: float = 0.0, columns: float = 0.0, inner: float = 0.0) -> None:
        ...
    @property
    def columns(self) -> float:
        ...
    @property
    def inner(self) -> float:
        ...
    @property
    def rows(self) -> float:
        ...
class OpSpeed:
    """
    Seconds of an op that was measured.
    """
    def __init__(self, *, call: float = 0.0, flop: float = 0.0, byte: float = 0.0, row: float = 0.0) -> None:
        """
        Seconds of a call, and for each operation, for each byte, and, of attention, for each operation by the size of a head.
        """
    @property
    def byte(self) -> float:
        ...
    @property
    def call(self) -> float:
        ...
    @property
    def flop(self) -> float:
        ...
    @property
    def row(self) -> float:
        ...
class CollectiveSpeed:
    """
    A collective inside a domain that was measured.
    """
    def __init__(self, *, latency: float, bandwidth: float, staged_bandwidth: float) -> None:
        """
        Seconds of a message; bytes/s of tensors that other ranks reach, and of those that they do not.
        """
    @property
    def bandwidth(self) -> float:
        ...
    @property
    def latency(self) -> float:
        ...
    @property
    def staged_bandwidth(self) -> float:
        ...
class PeakRates:
    """
    FLOP/s of dense matrix products by the type of their operands; 0: none.
    """
    def __init__(self, *, f32: float, f16: float = 0.0, f8: float = 0.0, f4: float = 0.0) -> None:
        ...
    def of(self, dtype: str) -> float:
        """
        Of a type that training computes in: f32 where there is no f16.
        """
    @property
    def f16(self) -> float:
        """
        f16 and bf16.
        """
    @property
    def f32(self) -> float:
        ...
    @property
    def f4(self) -> float:
        ...
    @property
    def f8(self) -> float:
        ...
class Link:
    """
    A level of a network, as one device sees it.
    """
    def __init__(self, *, bandwidth: float, devices: int = 0, latency: float = 0.0, fraction: float = 1.0) -> None:
        """
        Bytes/s one way; how many devices a domain joins; seconds of a message; of the bandwidth, what large collectives reach.
        """
    @property
    def bandwidth(self) -> float:
        ...
    @property
    def devices(self) -> int:
        ...
    @property
    def fraction(self) -> float:
        ...
    @property
    def latency(self) -> float:
        ...
class Accuracy:
    """
    How far forecasts were from measured steps, as a share of these.
    """
    def __init__(self, *, median: float, p90: float, cases: int) -> None:
        """
        Of half of the steps less, of nine in ten less; steps on such machines, 0: none, and the errors are those on others.
        """
    @property
    def cases(self) -> int:
        ...
    @property
    def median(self) -> float:
        ...
    @property
    def p90(self) -> float:
        ...
class Hardware:
    """
    What a training job runs on: properties of a machine and coefficients of the cost model.
    """
    def __init__(self, *, name: str, device: str, peak: PeakRates, memory_bytes: float, memory_bandwidth: float, matmul_fraction: float, units: int, tile_rows: int, tile_columns: int, half: HalfSizes, half_f16: HalfSizes, attention_forward: float, attention_backward: float, memory_fraction: float, kernel_gap: float, host_launch: float, shared_by_collectives: float, speeds: collections.abc.Mapping[str, OpSpeed], speeds_f16: collections.abc.Mapping[str, OpSpeed], collectives: collections.abc.Mapping[str, CollectiveSpeed], step_host: float, domain: Link, network: Link, idle_watts: float, busy_watts: float, site_factor: float, hours_between_failures: float, accuracy: Accuracy | None = None) -> None:
        ...
    @property
    def accuracy(self) -> Accuracy:
        ...
    @property
    def busy_watts(self) -> float:
        ...
    @property
    def collectives(self) -> dict[str, CollectiveSpeed]:
        """
        Of those that were measured, by name.
        """
    @property
    def device(self) -> str:
        """
        `cuda` or `cpu`.
        """
    @property
    def domain(self) -> Link:
        ...
    @property
    def half(self) -> HalfSizes:
        ...
    @property
    def half_f16(self) -> HalfSizes:
        ...
    @property
    def hours_between_failures(self) -> float:
        """
        Of one device, such that the job ends; 0: unknown.
        """
    @property
    def idle_watts(self) -> float:
        ...
    @property
    def memory_bandwidth(self) -> float:
        """
        Bytes/s.
        """
    @property
    def memory_bytes(self) -> float:
        ...
    @property
    def name(self) -> str:
        ...
    @property
    def network(self) -> Link:
        ...
    @property
    def peak(self) -> PeakRates:
        ...
    @property
    def site_factor(self) -> float:
        """
        What the site draws for each watt of its computers.
        """
    @property
    def speeds(self) -> dict[str, OpSpeed]:
        """
        Of ops that were measured, by name.
        """
    @property
    def speeds_f16(self) -> dict[str, OpSpeed]:
        """
        Of products and attention of 16 bits.
        """
    @property
    def step_host(self) -> float:
        ...
class ModelSize:
    """
    Numbers of a whole model.
    """
    @property
    def active(self) -> int:
        """
        Those that a token meets.
        """
    @property
    def flops_per_token(self) -> float:
        """
        Of training, without recomputing.
        """
    @property
    def parameters(self) -> int:
        ...
class Experts:
    """
    Layers of experts in place of each MLP: modelled, not yet in the runtime.
    """
    def __init__(self, count: int = 0, *, per_token: int = 1, hidden: int = 0, shared_hidden: int = 0, ranks: int = 1) -> None:
        """
        `count` of a layer, 0: the model is dense; of each `hidden` wide a token goes through `per_token`, and through one that is `shared_hidden` wide. `ranks`: that divide them, where no search chooses.
        """
    def dense(self, config: EngineConfig) -> EngineConfig:
        """
        What runs in their place, to be planned with them.
        """
    def size(self, model: ModelConfig) -> ModelSize:
        """
        Of a model that has them.
        """
    @property
    def count(self) -> int:
        ...
    @property
    def hidden(self) -> int:
        ...
    @property
    def per_token(self) -> int:
        ...
    @property
    def ranks(self) -> int:
        ...
    @property
    def shared_hidden(self) -> int:
        ...
class RankMemory:
    """
    Bytes of a rank's device memory, by what they hold.
    """
    @property
    def activations(self) -> int:
        """
        What a step adds at the moment when it holds most.
        """
    @property
    def gradients(self) -> int:
        ...
    @property
    def masters(self) -> int:
        """
        f32; 0 where the weights themselves are.
        """
    @property
    def optimizer(self) -> int:
        ...
    @property
    def other(self) -> int:
        ...
    @property
    def parameters(self) -> int:
        """
        Numbers, not bytes, that this rank holds.
        """
    @property
    def peak(self) -> int:
        """
        The sum.
        """
    @property
    def saving(self) -> int:
        """
        Of host memory, for checkpoints that are written while training goes on; not in the peak.
        """
    @property
    def weights(self) -> int:
        """
        In the compute type.
        """
class Busy:
    """
    Seconds of a step by what they go to.
    """
    @property
    def attention(self) -> float:
        ...
    @property
    def communication(self) -> float:
        """
        In which nothing is computed.
        """
    @property
    def gaps(self) -> float:
        """
        The host has given nothing.
        """
    @property
    def other_ops(self) -> float:
        ...
    @property
    def products(self) -> float:
        """
        Matrix products.
        """
class StageForecast:
    """
    What a step takes of the devices of a pipeline stage.
    """
    @property
    def backward(self) -> float:
        ...
    @property
    def busy(self) -> Busy:
        ...
    @property
    def forward(self) -> float:
        """
        Seconds of a micro-batch.
        """
    @property
    def memory(self) -> int:
        """
        Bytes at the most.
        """
    @property
    def once(self) -> float:
        """
        Seconds beside the micro-batches.
        """
class Forecast:
    """
    What a step takes on a machine.
    """
    @property
    def bubble(self) -> float:
        """
        Share in which stages wait for one another.
        """
    @property
    def busy(self) -> Busy:
        ...
    @property
    def flops(self) -> float:
        """
        Of a device.
        """
    @property
    def memory(self) -> int:
        ...
    @property
    def micro_batches(self) -> int:
        ...
    @property
    def seconds(self) -> float:
        ...
    @property
    def stages(self) -> list[StageForecast]:
        ...
    @property
    def tokens_per_second(self) -> float:
        """
        Of all devices.
        """
class RecordedStep:
    """
    What the devices of a layout are given in a step: the real Engine of a rank of each stage that differs runs on the meta device.
    """
    def __init__(self, config: EngineConfig, mesh: Mesh, *, device: str, experts: Experts | None = None) -> None:
        """
        `device`: whose program it is, and whose kernels' workspaces count in its memory. `experts`: in place of the MLPs of `config`, which is what `Experts.dense` gives.
        """
    def on(self, hardware: Hardware, *, products: str = 'as_is', replayed: bool = True, plain_attention: bool = False, plain_loss: bool = False) -> Forecast:
        """
        Plays it on a machine. `products`: what linear layers multiply in, `as_is`, `f8` or `f4`; `replayed`: the host does not count; `plain_attention`: scores go through memory, as in programs without a fused kernel; `plain_loss`: so do f32 logits.
        """
class RunConditions:
    """
    What a whole run is like beside its steps.
    """
    def __init__(self, *, steps: int, save_stall: float = 1.0, save: float = 60.0, restart: float = 300.0, grid: float = 0.0) -> None:
        """
        Seconds that training stands still for a checkpoint, until it is complete, and from a fault to the next step; kg of CO2 for a kWh.
        """
    @property
    def grid(self) -> float:
        ...
    @property
    def restart(self) -> float:
        ...
    @property
    def save(self) -> float:
        ...
    @property
    def save_stall(self) -> float:
        ...
    @property
    def steps(self) -> int:
        ...
class RunCost:
    """
    What a whole run takes.
    """
    @property
    def co2_tonnes(self) -> float:
        ...
    @property
    def device_hours(self) -> float:
        ...
    @property
    def ends(self) -> bool:
        """
        Whether it does; else `hours` is infinite.
        """
    @property
    def hours(self) -> float:
        """
        From start to end.
        """
    @property
    def hours_between_failures(self) -> float:
        """
        Of the job; 0: unknown.
        """
    @property
    def megawatt_hours(self) -> float:
        """
        Of the site.
        """
    @property
    def save_every(self) -> float:
        """
        Seconds between checkpoints that lose least.
        """
    @property
    def useful(self) -> float:
        """
        Share of the time that trains what lasts.
        """
    @property
    def watts(self) -> float:
        """
        Of a device, on average.
        """
class Layout:
    """
    How a job is divided among devices, and what it does to fit them.
    """
    @property
    def chunks(self) -> int:
        ...
    @property
    def context(self) -> int:
        ...
    @property
    def data(self) -> int:
        ...
    @property
    def devices(self) -> int:
        ...
    @property
    def expert(self) -> int:
        """
        Ranks that divide experts; 0: there are none.
        """
    @property
    def micro_batch(self) -> int:
        ...
    @property
    def pipeline(self) -> int:
        ...
    @property
    def recompute(self) -> str:
        ...
    @property
    def recompute_layers(self) -> int | str:
        """
        Of each stage, its first ones; `all`.
        """
    @property
    def schedule(self) -> str:
        ...
    @property
    def tensor(self) -> int:
        ...
    @property
    def zero(self) -> int:
        ...
class Candidate:
    """
    A layout and what a step takes on it.
    """
    @property
    def forecast(self) -> Forecast:
        ...
    @property
    def layout(self) -> Layout:
        ...
    @property
    def score(self) -> float:
        """
        What it is ranked by.
        """
class SearchResult:
    """
    What a search has found.
    """
    @property
    def fitting(self) -> list[Candidate]:
        """
        Best first; none: all are too large.
        """
    @property
    def hopeless(self) -> int:
        """
        Not tried: at best they are far behind others.
        """
    @property
    def too_large(self) -> int:
        """
        Of those, for the memory.
        """
    @property
    def too_late(self) -> int:
        """
        Of those, for the deadline.
        """
    @property
    def tried(self) -> int:
        ...
class SearchOptions:
    """
    What a search may choose, and what is best.
    """
    def __init__(self, devices: int, *, data: int | None = None, tensor: int | None = None, pipeline: int | None = None, context: int | None = None, expert: int | None = None, schedule: str | None = None, chunks: int | None = None, zero: int | None = None, micro_batch: int | None = None, recompute: str | None = None, recompute_layers: int | str | None = None, memory_share: float = 0.9, products: str = 'as_is', experts: Experts | None = None, replayed: bool = True, by: str = 'time', run: RunConditions | None = None, most_hours: float = 0.0) -> None:
        """
        At most `devices`; what is given of a layout is not chosen (`recompute_layers`: a number, or `all`). `experts`: in place of the MLPs of what is planned, which is what `Experts.dense` gives. `by`: `time` of a step, or `cost` (device hours) or `energy` of `run`; `most_hours`: in which that has to end, 0: whenever.
        """
    @property
    def devices(self) -> int:
        ...
    @property
    def memory_share(self) -> float:
        ...
class Misfit:
    """
    Of a job that fits on no layout, what takes the least memory, and each way by which something would fit.
    """
    @property
    def context(self) -> int | None:
        """
        So short rows; None: none are short enough.
        """
    @property
    def devices(self) -> int | None:
        """
        So many; None: no number of them.
        """
    @property
    def keys(self) -> list[str]:
        """
        Given ones, each of which would have to be free.
        """
    @property
    def least(self) -> Candidate:
        ...
    @property
    def memory(self) -> float:
        """
        Bytes of a device.
        """
class OpSample:
    """
    An op and what it took here.
    """
    @property
    def bytes(self) -> float:
        """
        Read and written.
        """
    @property
    def dtype(self) -> str:
        ...
    @property
    def flops(self) -> float:
        ...
    @property
    def name(self) -> str:
        ...
    @property
    def seconds(self) -> float:
        ...
    @property
    def shape(self) -> tuple[int, int, int]:
        """
        Of a product of [rows, inner] x [inner, columns].
        """
class StepSample:
    """
    The ops of a step in their order.
    """
    @property
    def model(self) -> str:
        """
        What tells its model and batch from others.
        """
    @property
    def moves(self) -> list[OpSample]:
        """
        Its copies and zeros, without their seconds.
        """
    @property
    def ops(self) -> list[OpSample]:
        ...
    @property
    def rest(self) -> float:
        """
        Seconds of the step in which it ran no op.
        """
    @property
    def spread(self) -> float:
        """
        Of the median step, by how much the slowest was slower.
        """
class CollectiveSample:
    """
    A collective of all ranks and what it took here.
    """
    @property
    def bytes(self) -> float:
        ...
    @property
    def name(self) -> str:
        ...
    @property
    def ranks(self) -> int:
        ...
    @property
    def seconds(self) -> float:
        ...
    @property
    def shared(self) -> bool:
        """
        Whether its tensors lie where other ranks reach them.
        """
class StageSpan:
    """
    What a stage does for a while.
    """
    @property
    def begin(self) -> float:
        """
        Seconds since the step's.
        """
    @property
    def chunk(self) -> int:
        ...
    @property
    def communication(self) -> float:
        """
        Of these seconds, those of collectives in which nothing is computed.
        """
    @property
    def end(self) -> float:
        ...
    @property
    def kind(self) -> str:
        """
        `forward`, `backward`, its halves `backward_input` and `backward_weight`; `exchange` with other stages, beside them; `once`: sums, norm and update.
        """
    @property
    def microbatch(self) -> int:
        """
        From 0.
        """
class StreamSpan:
    """
    An op or a collective on a stream.
    """
    @property
    def begin(self) -> float:
        ...
    @property
    def bytes(self) -> float:
        """
        That an op reads and writes; a collective's buffer.
        """
    @property
    def end(self) -> float:
        ...
    @property
    def flops(self) -> float:
        ...
    @property
    def group(self) -> str:
        """
        Of a collective; of an op empty.
        """
    @property
    def name(self) -> str:
        ...
    @property
    def stream(self) -> int:
        """
        0: compute.
        """
class StreamTimeline:
    """
    A step of few micro-batches on the streams of a device, without what other stages keep it waiting.
    """
    @property
    def micro_batches(self) -> int:
        ...
    @property
    def spans(self) -> list[StreamSpan]:
        ...
    @property
    def stages(self) -> list[int]:
        """
        That are alike.
        """
class Timeline:
    """
    When things happen in a step, as it is foretold; of many micro-batches those that are simulated.
    """
    @property
    def chunks(self) -> int:
        ...
    @property
    def micro_batches(self) -> int:
        """
        Of a step.
        """
    @property
    def seconds(self) -> float:
        """
        Until the last of `stages` is over.
        """
    @property
    def shown(self) -> int:
        """
        Micro-batches of `stages`.
        """
    @property
    def stages(self) -> list[list[StageSpan]]:
        """
        Spans of each.
        """
    @property
    def step_seconds(self) -> float:
        """
        Of all micro-batches.
        """
    @property
    def streams(self) -> list[StreamTimeline]:
        ...
def abort(code: int, cause: str = '') -> None:
    """
    Takes down the job that this process is a rank of.
    """
def best_on(config: EngineConfig, hardware: Hardware, options: SearchOptions, found: SearchResult, devices: int) -> Candidate | None:
    """
    What a search has found, divided anew among another number of devices: the best of it; None where nothing fits. The deadline does not count. ValueError where what is given leaves no layout of so few.
    """
def build_info() -> dict[str, str]:
    """
    What the core was built with and what this CPU has: version, compiler, matmul, mpi, cpu.
    """
def check_network(world: World, locations: collections.abc.Sequence[RankLocation], *, slowdown: float = 1.0) -> NetworkReport:
    """
    Measures matmul, copies, all-reduce, all-to-all and point-to-point on all ranks. `slowdown` makes this rank take so many times as long, to see that it is found. Collective.
    """
def check_requirements(context: ParallelContext, locations: collections.abc.Sequence[RankLocation], *, nvls: str, mnnvl: str) -> str:
    """
    What moves bytes between ranks, a line an axis with several. `nvls` and `mnnvl` are as in section `network` of a configuration: ValueError names the first group that lacks what is required of it. Collective.
    """
def config_changes(before: dict | str, after: dict | str) -> list[tuple[str, str | None, str | None]]:
    """
    The keys in which two JSON objects differ, with both values as JSON; None where there is none.
    """
def context_neighbours(mesh: Mesh, locations: collections.abc.Sequence[RankLocation]) -> int:
    """
    For `EngineConfig(context_neighbours=...)`: how many neighbours of a context group, from its first on, share a domain or a host.
    """
def cost_of_run(step: Forecast, hardware: Hardware, conditions: RunConditions, *, devices: int, seconds: float | None = None) -> RunCost:
    """
    What a run of such steps takes on so many devices that fail now and then; `seconds`: of a step, if not what is foretold.
    """
def count_devices(type: str) -> int:
    """
    How many devices of a type this process sees, at least 1. RuntimeError says why there is none.
    """
def cpu_quota() -> float | None:
    """
    How many cores' time the process's container allows it; None without a limit.
    """
def crossing_text(mesh: Mesh, locations: collections.abc.Sequence[RankLocation]) -> str:
    """
    Says which tensor groups cross domains, over which link and how fast; empty when none does.
    """
def devices_of(watts: float, hardware: Hardware) -> int:
    """
    The most devices that a site of so many watts feeds at full load.
    """
def enter_phase(world: World, name: str) -> None:
    """
    What this rank is about from now on: as `phase`, for good.
    """
def estimate_memory(config: EngineConfig, mesh: Mesh, rank: int, *, device: str = 'meta') -> RankMemory:
    """
    The memory of tensors that a rank of `mesh` takes to train: one step of the real Engine on the meta device, where nothing is allocated. `device`: whose kernels' workspaces count; of meta there are none.
    """
def fewest_devices(config: EngineConfig, hardware: Hardware, options: SearchOptions, found: SearchResult) -> Candidate:
    """
    The same on the fewest devices on which the run is in time, or fits.
    """
def fewest_recomputed(config: EngineConfig, mesh: Mesh, *, memory: int, copies: bool, device: str = 'meta') -> int:
    """
    The fewest blocks of each stage that must be recomputed so that no rank takes more than `memory` bytes for tensors, and for `copies` that checkpoints are written from where they lie there too. ValueError where none are enough.
    """
def file_content(path: os.PathLike | str | bytes, cache: os.PathLike | str | bytes) -> str:
    """
    What is in a file, in words that are equal for equal bytes alone. The folder `cache` remembers it until the file changes.
    """
def finalize() -> None:
    """
    World.finalize of the world that init has given, if it is there.
    """
def first_error(world: World, error: str) -> str:
    """
    On every rank the error of the lowest rank that gives one, with that rank's number; empty when all give none. Collective.
    """
def fit_hardware(name: str, *, steps: collections.abc.Sequence[StepSample], moves: collections.abc.Sequence[OpSample], collectives: collections.abc.Sequence[CollectiveSample], ranks: int, memory_bytes: float) -> Hardware:
    """
    The machine on which ops and collectives take what was measured on so many ranks at once, each with so much memory.
    """
def gather_locations(world: World) -> list[RankLocation]:
    """
    Where each rank runs, on every rank. Collective.
    """
def gather_traces(world: World, peak: Peak) -> list[RankTrace]:
    """
    Ends the recording and returns every rank's spans on rank 0, nothing on the others. Collective.
    """
def hang_found() -> bool:
    """
    Whether a watch has found a hang, and this process is about to be ended.
    """
def init(device: str = 'cpu', interface: str = '') -> World:
    """
    All ranks that mpirun started; a world of one without it. Collective. Asked again it gives the world that is there.
    """
def latest_checkpoint(root: os.PathLike | str | bytes) -> str | None:
    """
    The complete checkpoint of the highest step, or None.
    """
def layout_memory(config: EngineConfig, candidate: Candidate, hardware: Hardware, experts: Experts | None = None) -> RankMemory:
    """
    What the device holds that holds most, by kinds.
    """
def make_folders(path: os.PathLike | str | bytes) -> None:
    """
    Makes a folder and those above it, of mode 0750 less the umask; one that is there stays as it is. OSError names the folder.
    """
def make_timeline(config: EngineConfig, layout: Layout, hardware: Hardware, options: SearchOptions) -> Timeline:
    """
    When things happen in a step on a layout that a search with `options` has found.
    """
def measure_collectives(world: World) -> list[CollectiveSample]:
    """
    Measures collectives of all ranks, by their sizes. Collective.
    """
def measure_moves(world: World) -> list[OpSample]:
    """
    Measures copies and zeros, on all ranks at once. Collective.
    """
def measure_peak(world: World) -> Peak:
    """
    Measures matmul and memory on all ranks at once, with the threads that compute, in about a second. Collective.
    """
def measure_reference(engine: Engine, corpus: Corpus, progress: collections.abc.Callable) -> None:
    """
    Measures what the model as it is thinks of all pairs of a corpus, which come with its samples from then on; before a DataLoader reads it. `progress` is told pairs done and all. Collective.
    """
def measure_step(world: World, config: EngineConfig) -> StepSample:
    """
    Runs steps of a configuration on each rank's CPU, as if it had no others, while all others do the same. Collective.
    """
def model_families() -> list[str]:
    """
    The names of all families.
    """
def phase(world: World, name: str) -> Phase:
    """
    What this rank is about in a `with`: prepare, load, validation, save or export. A watch waits longer for it.
    """
def place_ranks(locations: collections.abc.Sequence[RankLocation], *, tensor: int) -> list[int]:
    """
    The rank at each position of a mesh, for `Mesh(placement=...)`, such that as few tensor groups as can be cross a domain.
    """
def rank_gone() -> bool:
    """
    Whether a watch sees that a rank of this host has gone.
    """
def rank_table(locations: collections.abc.Sequence[RankLocation]) -> str:
    """
    A row a rank and a line a domain.
    """
def read_checkpoint(path: os.PathLike | str | bytes, *, average: bool = False) -> tuple:
    """
    Steps done, the config that was saved and the whole weights by logical name, or their average, whatever layout they were saved on. Not collective.
    """
def read_manifest(path: os.PathLike | str | bytes) -> str:
    """
    The manifest of a checkpoint's folder, checked, as a str of JSON.
    """
def read_safetensors(path: os.PathLike | str | bytes) -> SafetensorsFile:
    """
    The arrays of a file by name; every byte of its header is checked.
    """
def saved_tensors(path: os.PathLike | str | bytes) -> list[SavedTensor]:
    """
    The logical tensors of a checkpoint; reads manifest and headers. Not collective.
    """
def schedule_names() -> list[str]:
    """
    Of the pipeline schedules that there are.
    """
def search_layouts(config: EngineConfig, hardware: Hardware, options: SearchOptions, *, watts: float | None = None, progress: collections.abc.Callable | None = None) -> SearchResult:
    """
    Layouts on which a configuration trains its batch, on no more devices than a site of so many `watts` feeds. `progress` is told now and then how many were tried and which is the best so far, None at first; what it raises ends the search.
    """
def set_threads(threads: int) -> int:
    """
    Asks for threads that the calling thread computes with. Gives how many there are: fewer where OpenMP is limited (OMP_THREAD_LIMIT). ValueError for more than 16 for each core that the process may use.
    """
def sim_world(rank: int, size: int, device: str = 'meta') -> World:
    """
    A world of which this rank alone exists; collectives move nothing.
    """
def simulate_schedule(name: str, *, stages: int, microbatches: int, chunks: int | None = None, forward: float = 1.0, backward_input: float = 1.0, backward_weight: float = 1.0, transfer: float = 0.0, chunk_times: collections.abc.Sequence[typing.Annotated[collections.abc.Sequence[float], "FixedSize(4)"]] | None = None) -> TimedSchedule:
    """
    Makes a schedule and runs it on times without ranks; without `chunks` with the fewest that it can have. The times are those of a micro-batch on a whole stage, all its chunks together; a transfer's is that of one activation. `chunk_times` stand in for them: forward, backward and its halves, backward_input and backward_weight, of each chunk, stage by stage.
    """
def step_range(seconds: float, hardware: Hardware) -> tuple[float, float]:
    """
    From what to what a step may take of which so many seconds are foretold: nine of ten are inside.
    """
def summarise(traces: collections.abc.Sequence[RankTrace], compute: str) -> Profile:
    """
    Sums what ranks recorded; `compute` is the type of their matmuls.
    """
def tensor_difference(a: SavedTensor, b: SavedTensor) -> TensorDifference:
    """
    Compares two of one shape where they lie, on any layouts; takes no memory for them.
    """
def tensor_sizes_inside(locations: collections.abc.Sequence[RankLocation]) -> list[int]:
    """
    The sizes of tensor groups with which none crosses a domain.
    """
def threads() -> int:
    """
    How many threads the calling thread computes with.
    """
def verify_checkpoint(path: os.PathLike | str | bytes, progress: collections.abc.Callable) -> Verification:
    """
    Reads every byte of a checkpoint and checks all that can be. `progress` is called with the bytes read and those of all files, from time to time.
    """
def watch(world: World, hang_seconds: float, interface: str = '', traceback_fd: int = -1, circle_seconds: float = 0.0, launcher_file: str = '') -> Watch:
    """
    Watches until the world ends whether any rank that others wait for makes progress. The stack that is told is that of the calling thread; `traceback_fd` is a file that a handler of SIGURG writes its frames to. Ranks that wait for one another in calls that differ are given `circle_seconds`, where that is not 0. `launcher_file` gets a line `hung` when mpirun has to be killed because a host is lost. Collective.
    """
def what_fits(config: EngineConfig, hardware: Hardware, options: SearchOptions) -> Misfit:
    """
    What would let something fit where a search finds nothing.
    """
def why_it_never_ends(cost: RunCost, conditions: RunConditions) -> str:
    """
    Why a run never ends: how often it fails, and what that takes.
    """
def write_file_atomically(path: os.PathLike | str | bytes, bytes: bytes) -> None:
    """
    Makes `bytes` the content of a file, durable when this returns: readers see the old or the new, whole, and so does a machine after a power cut. Of mode 0640 less the umask; a link of that name is replaced, not followed. OSError names the path.
    """
def write_safetensors(path: os.PathLike | str | bytes, arrays: collections.abc.Mapping[str, numpy.ndarray], metadata: collections.abc.Mapping[str, str] = {}) -> None:
    """
    The file appears complete or not at all.
    """
HANG_STATUS: int = 76
