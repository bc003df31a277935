"""What every function of the core says of arguments that do not fit.

The sweep runs in a process of its own: one that crashes is a failure.
"""

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import eisbach
from eisbach import _C
from eisbach.hardware import machine_of, read_hardware

STUBS = Path(eisbach.__file__).with_name("_C")

# By what an annotation says: values that an argument of it does not take.
ANY_TYPE = [3j, object(), len]
WRONG = {
    "int": [*ANY_TYPE, "1", 1.5, True, 2**100, -(2**100), np.float32(1.5)],
    "float": [*ANY_TYPE, "1", True, float("nan"), float("inf"), 10**400],
    "bool": [*ANY_TYPE, "yes", 0, 1, 2.0, np.zeros(1)],
    "str": [*ANY_TYPE, 1, b"text", Path("text")],
    "os.PathLike | str | bytes": [*ANY_TYPE, 1, 1.5, ["a"]],
    "dict | str": [*ANY_TYPE, 1, ["a"], {"a": object()}, {"a": float("nan")}],
    "dict": [*ANY_TYPE, 1, "a", [1]],
    "int | str": [*ANY_TYPE, 1.5, 2**100, ["a"]],
    "bytes": [*ANY_TYPE, 1, "a"],
    "numpy.typing.ArrayLike": [*ANY_TYPE, 1.5, "a", [0.5], [[1], [2, 3]]],
    "numpy.ndarray": [*ANY_TYPE, 1, "a", [1, 2]],
    "Tensor | numpy.typing.ArrayLike": [*ANY_TYPE, 1, "a", [0.5], [None]],
    "collections.abc.Callable": [3j, object(), 1, "a"],
    "tuple[int, ...]": [*ANY_TYPE, 1, ("a",), (1.5,), (2**70,), (None,)],
}


def test_every_argument_of_the_wrong_type_is_named():
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", __file__],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    calls = int(done.stdout.split()[-2])
    assert calls > 1500, "the sweep has lost its functions"


def test_a_call_is_answered_in_one_sentence(make):
    tokens = np.zeros((2, 3), int)
    device = make.world.device
    for error, call, words in [
        (TypeError, lambda: _C.Batch(tokens, tokens), "device is not given"),
        (TypeError, lambda: _C.Mesh(1, datta=1), "has no argument datta"),
        (TypeError, lambda: _C.Mesh(1, 1), "has 2 arguments by position"),
        (TypeError, lambda: _C.Mesh(1, world_size=1), "given twice"),
        (
            TypeError,
            lambda: _C.Batch(tokens, tokens, device, step="x"),
            "^Batch: step='x'; it takes an int$",
        ),
        (
            ValueError,
            lambda: _C.Mesh(2**31),
            r"^Mesh: world_size=2147483648; it takes an int of -2\^31 to "
            r"2\^31 - 1$",
        ),
        (
            TypeError,
            lambda: _C.Mesh(1, placement=[0, "x"]),
            r"^Mesh: placement\[1\]='x'; it takes an int$",
        ),
        (
            TypeError,
            lambda: _C.functional.gelu(tokens),
            "^functional.gelu: x is a numpy.ndarray; it takes an "
            "eisbach.Tensor$",
        ),
        (TypeError, lambda: _C.Engine.step(3, 4), "Engine.step: self=3; it"),
    ]:
        with pytest.raises(error, match=words) as found:
            call()
        assert "\n" not in str(found.value)


def test_what_a_property_is_set_to_is_named(make):
    engine = make.engine()
    with pytest.raises(TypeError, match="steps_done='x'; it takes"):
        engine.steps_done = "x"


def test_an_object_that_was_never_made_is_refused():
    unmade = _C.Tensor.__new__(_C.Tensor)
    for call in (
        lambda: unmade.shape,
        lambda: unmade.numpy(),
        lambda: _C.functional.add(unmade, unmade),
        lambda: _C.Graph().backward([unmade], [unmade]),
    ):
        with pytest.raises(TypeError, match="__init__ has not run"):
            call()


def test_an_error_of_the_function_itself_stays():
    with pytest.raises(TypeError, match="no tensors of dtype complex"):
        _C.Tensor.from_numpy(np.zeros(2, complex), _C.Device())


# The sweep -----------------------------------------------------------------


def _objects(folder):
    """One object of each class, by name."""
    world = _C.init()
    device = world.device
    model = {"layers": 1, "hidden": 8, "heads": 2, "context": 4, "vocab": 9}
    train = {"steps": 9, "global_batch": 2, "micro_batch": 2}
    config = eisbach.make_config(model=model, train=train)
    mesh = _C.Mesh(1)
    context = _C.ParallelContext(world, mesh)
    engine_config = eisbach.engine_config(config)
    engine = _C.Engine(engine_config, context)
    tokens = np.zeros((2, 4), int)
    writer = _C.TokenFileWriter(folder / "a", dtype="u8")
    writer.add_document(list(range(20)))
    writer.close()
    corpus = _C.Corpus([(folder / "a", 1.0)], context=4, vocab=30, seed=1)
    linear = _C.nn.Linear("linear", 8, 8)
    table = _C.Parameter("table", (9, 8))
    update = _C.Update(
        [*linear.parameters(), table], engine_config.update, context
    )
    peak = _C.measure_peak(world)
    batch = _C.Batch(tokens, tokens, device)
    preference = _C.PreferenceConfig(beta=0.1)
    device.start_recording()
    engine.step(batch)
    traces = _C.gather_traces(world, peak)
    locations = _C.gather_locations(world)
    _C.write_safetensors(folder / "a.safetensors", {"a": np.zeros(2, "f4")})
    engine.begin_save(folder / "checkpoints")
    outcome = engine.finish_save()
    saved = folder / "checkpoints" / f"step-{engine.steps_done:08}"
    tensor = _C.saved_tensors(saved)[0]
    decoder = _C.Decoder(engine)
    machine = machine_of(read_hardware("dgx-b200"))
    measured = _C.measure_step(world, engine_config)
    calls = _C.CollectiveSpeed(
        latency=1e-6, bandwidth=1e9, staged_bandwidth=1e9
    )
    recorded = _C.RecordedStep(engine_config, mesh, device="cpu")
    forecast = recorded.on(machine)
    options = _C.SearchOptions(1)
    experts = _C.Experts(2, per_token=1, hidden=8)
    layouts = _C.search_layouts(engine_config, machine, options)
    conditions = _C.RunConditions(steps=1)
    layout = layouts.fitting[0].layout
    timeline = _C.make_timeline(engine_config, layout, machine, options)
    found = [
        _C.what_fits(engine_config, machine, options),
        decoder,
        experts,
        experts.size(engine_config.model),
        decoder.generate([[1]], tokens=1)[0],
        world,
        world.communicator,
        device,
        device.memory(),
        device.trace_totals(),
        mesh,
        context,
        engine_config,
        engine_config.model,
        engine_config.model.adapter,
        engine_config.model.architecture,
        engine_config.model.architecture.rope,
        engine_config.update,
        engine_config.update.optimizer,
        engine_config.update.schedule,
        engine_config.spikes,
        engine,
        batch,
        _C.TokenFileWriter(folder / "b", dtype="u8"),
        _C.TokenFile(folder / "a"),
        corpus,
        _C.DataLoader(corpus, global_batch=2),
        table,
        update,
        update.forward_context(),
        _C.Graph(),
        _C.Tensor.zeros((2, 4), "i32", device),
        peak,
        traces[0],
        _C.summarise(traces, "f32"),
        locations[0],
        _C.check_network(world, locations),
        _C.read_safetensors(folder / "a.safetensors"),
        outcome,
        tensor,
        _C.tensor_difference(tensor, tensor),
        _C.verify_checkpoint(saved, lambda *_: None),
        _C.ParameterGroup(["*"]),
        preference,
        machine,
        machine.peak,
        machine.domain,
        machine.half,
        _C.OpSpeed(call=1e-6),
        calls,
        measured,
        measured.ops[0],
        recorded,
        forecast,
        forecast.stages[0],
        forecast.busy,
        layouts,
        layouts.fitting[0],
        layout,
        options,
        conditions,
        _C.cost_of_run(forecast, machine, conditions, devices=1),
        machine.accuracy,
        timeline,
        timeline.stages[0][0],
        timeline.streams[0],
        timeline.streams[0].spans[0],
        _C.estimate_memory(engine_config, mesh, 0),
        linear,
        _C.nn.Norm("norm", 8),
        _C.nn.Dropout("dropout", 0.5),
        _C.nn.Embedding(table),
        _C.nn.PositionEmbedding("position", 4, 8),
        _C.nn.Head(table),
        _C.nn.Attention("attention", 8, 2),
        _C.nn.Mlp("mlp", 8, 16),
        _C.nn.Block("block", 8, 2),
    ]
    others = {
        "Layer": linear,
        "Watch": _C.Watch.__new__(_C.Watch),  # there is none of one rank
        "CollectiveSample": _C.CollectiveSample.__new__(_C.CollectiveSample),
    }
    return {type(one).__name__: one for one in found} | others


class _Sweep:
    def __init__(self, objects):
        self.objects, self.calls, self.problems = objects, 0, []

    def right(self, kind):
        """Returns a value of the kind; the call is refused before its use."""
        values = {
            "int": 1,
            "float": 0.5,
            "bool": True,
            "str": "f32",
            "int | str": 1,
            "os.PathLike | str | bytes": "nothing",
            "dict | str": "{}",
            "dict": {},
            "bytes": b"",
            "numpy.typing.ArrayLike": [[1]],
            "numpy.ndarray": np.zeros(2, "f4"),
            "Tensor | numpy.typing.ArrayLike": [[1]],
            "tuple[int, ...]": (1,),
            "typing.Any": None,
            "collections.abc.Callable": print,
        }
        if kind in values:
            return values[kind]
        if kind.startswith("collections.abc.Mapping"):
            return {}
        if kind.startswith(("collections.abc.", "list[")):
            return []
        return self.objects[kind.split(".")[-1].split(" | ")[0]]

    def wrong(self, kind):
        """Returns values that are not of the kind."""
        if kind in WRONG:
            return WRONG[kind]
        if kind.startswith("collections.abc.Mapping"):
            return [*ANY_TYPE, 1, [1], {1: 1}, {"a": object()}]
        if kind.startswith(("collections.abc.", "list[")):
            return [*ANY_TYPE, 1, [object()], [None], [3j]]
        name = kind.split(".")[-1]
        class_ = type(self.objects[name]) if name in self.objects else None
        unmade = [class_.__new__(class_)] if class_ is not None else []
        return [*ANY_TYPE, 1, "a", {}, *unmade]

    def call(self, name, function, right, argument, value):
        self.calls += 1
        try:
            where = f"{name}({argument}={value!r:.80})"
        except TypeError:
            where = f"{name}({argument} was never made)"
        print(where, file=sys.stderr, flush=True)
        # Positional-only is nothing here but self.
        values = {**right, argument: value}
        own = [values.pop("self")] if "self" in values else []
        try:
            function(*own, **values)
        except (TypeError, ValueError) as error:
            self.judge(where, argument, value, str(error))
        except Exception as error:
            self.problems.append(f"{where}: {error!r}")
        else:
            self.problems.append(f"{where} is taken")

    def judge(self, where, argument, value, text):
        bad = [w for w in ("incompatible", "pybind", "\n") if w in text]
        named = argument in text or "__init__ has not run" in text
        if bad or not named:
            self.problems.append(f"{where}: {text}")

    def function(self, name, function, node, self_kind=None):
        kinds, optional = {}, set()
        arguments = node.args.posonlyargs + node.args.args
        defaults = [None] * (len(arguments) - len(node.args.defaults))
        pairs = list(zip(arguments, defaults + node.args.defaults, strict=True))
        pairs += zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
        for one, _ in pairs:
            kind = ast.unparse(one.annotation) if one.annotation else self_kind
            kind = kind.replace("eisbach._C.", "")
            if kind.endswith(" | None"):
                kind = kind.removesuffix(" | None")
                optional.add(one.arg)
            kinds[one.arg] = kind
        right = {key: self.right(kind) for key, kind in kinds.items()}
        for argument, kind in kinds.items():
            if kind == "typing.Any":
                continue
            values = list(self.wrong(kind))
            if argument not in optional:
                values.append(None)
            for value in values:
                self.call(name, function, right, argument, value)

    def module(self, module, tree):
        for node in tree.body:
            if isinstance(node, ast.FunctionDef):
                name = f"{module.__name__}.{node.name}"
                self.function(name, getattr(module, node.name), node)
            if not isinstance(node, ast.ClassDef):
                continue
            class_ = getattr(module, node.name)
            for inner in node.body:
                if not isinstance(inner, ast.FunctionDef):
                    continue
                kinds = [ast.unparse(one) for one in inner.decorator_list]
                overloaded = "typing.overload" in kinds
                private = inner.name.startswith("__") and inner.name not in (
                    "__init__",
                    "__call__",
                    "__getitem__",
                )
                if overloaded or private or "property" in kinds:
                    continue
                name = f"{node.name}.{inner.name}"
                if any(kind.endswith(".setter") for kind in kinds):
                    self.setter(class_, inner)
                elif inner.name == "__init__":
                    inner.args.args = inner.args.args[1:]
                    self.function(name, class_, inner)
                else:
                    found = getattr(class_, inner.name)
                    self.function(name, found, inner, node.name)

    def setter(self, class_, node):
        kind = ast.unparse(node.args.args[1].annotation)
        for value in self.wrong(kind.removesuffix(" | None")):
            self.call(
                f"{class_.__name__}.{node.name}",
                lambda **one: setattr(
                    self.objects[class_.__name__], node.name, one[node.name]
                ),
                {},
                node.name,
                value,
            )


def main(folder):
    sweep = _Sweep(_objects(folder))
    for stub in sorted(STUBS.glob("*.pyi")):
        module = _C if stub.stem == "__init__" else getattr(_C, stub.stem)
        sweep.module(module, ast.parse(stub.read_text()))
    print("\n".join(sweep.problems))
    print(sweep.calls, "calls")
    return int(bool(sweep.problems))


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        sys.exit(main(Path(folder)))
