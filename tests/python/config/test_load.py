import pytest

from eisbach.config import ConfigError, as_config, load_config, make_config


@pytest.fixture
def write(tmp_path):
    def write(text: str) -> str:
        path = tmp_path / "c.yaml"
        path.write_text(text)
        return str(path)

    return write


def problem(path, overrides=()):
    """Loads what must fail for exactly one reason, and returns it."""
    with pytest.raises(ConfigError) as caught:
        load_config(path, overrides)
    assert len(caught.value.problems) == 1, caught.value
    return caught.value.problems[0]


def test_defaults_need_no_file():
    config = load_config()
    assert config.model.layers == 4
    assert config.origin("model.layers") == "default"


def test_values_are_read_as_yaml_1_2(write):
    config = load_config(
        write(
            "optimizer: {eps: 1e-5, lr: 1}\n"
            "run: {name: NO, seed: 010, dir: 2001-01-01}\n"
        )
    )
    assert config.optimizer.eps == 1e-5
    assert config.optimizer.lr == 1.0
    assert config.run.name == "NO"
    assert config.run.seed == 10
    assert config.run.dir == "2001-01-01"


def test_origins_name_line_and_command_line(write):
    path = write("model:\n  layers: 2\n  heads:\n    8\n")
    config = load_config(path, ["model.hidden=64"])
    assert config.origin("model.layers") == f"{path}:2"
    assert config.origin("model.heads") == f"{path}:3"
    assert config.origin("model.hidden") == "command line"
    assert config.origin("model.context") == "default"


def test_last_option_wins_over_file(write):
    path = write("model: {layers: 2, heads: 8}")
    config = load_config(path, ["model.layers=3", "model.layers=5"])
    assert (config.model.layers, config.model.heads) == (5, 8)


def test_options_take_lists_sections_and_items(write):
    path = write("data: {train: [{path: a}, {path: b, weight: 2}]}")
    config = load_config(
        path,
        [
            "optimizer.betas=[0.8, 0.9]",
            "model={layers: 2, hidden: 64}",
            "data.train[0].weight=3",
            "data.train.1.path=c",
        ],
    )
    assert config.optimizer.betas == [0.8, 0.9]
    assert (config.model.layers, config.model.hidden) == (2, 64)
    assert config.model.heads == 4
    assert [(s.path, s.weight) for s in config.data.train] == [
        ("a", 3.0),
        ("c", 2.0),
    ]
    assert config.origin("data.train") == "command line"


def test_empty_section_and_empty_file_are_defaults(write):
    assert load_config(write("model:\n")) == load_config()
    assert load_config(write("# nothing\n")) == load_config()


@pytest.mark.parametrize(
    ("text", "line", "key", "parts"),
    [
        ("model:\n  layer: 3", 2, "model.layer", ["closest: model.layers"]),
        ("\nmodle: {}", 2, "modle", ["closest: model"]),
        ("parallel: {dropout: 0}", 1, "parallel.dropout", ["model.dropout"]),
        ("model: {zzz: 0}", 1, "model.zzz", ["known: family, layers"]),
        ("data: {train: [{path: a, weigth: 1}]}", 1, "data.train[0].weigth",
         ["closest: data.train[0].weight"]),
        ("data: {train: [{weight: 1}]}", 1, "data.train[0].path", ["missing"]),
        ("data: {train: []}", 1, "data.train", ["[]"]),
        ("model: {layers: 0}", 1, "model.layers",
         ["0: ", "an integer >= 1", "nearest: 1"]),
        ("model: {layers: 2.0}", 1, "model.layers", ["2.0", "nearest: 2"]),
        ('model: {layers: "4"}', 1, "model.layers", ['"4"', "nearest: 4"]),
        ("model: {layers: true}", 1, "model.layers", ["an integer"]),
        ("model: {layers: 3000000000}", 1, "model.layers",
         ["<= 65536", "nearest: 65536"]),
        ("train: {micro_batch: 3000000000}", 1, "train.micro_batch",
         ["nearest: 2147483647"]),
        ("parallel: {chunks: 1073741825}", 1, "parallel.chunks",
         ["<= 65536", "nearest: 65536"]),
        ("parallel: {zero: true}", 1, "parallel.zero", ["an integer >= 0"]),
        ("parallel: {zero: 2.0}", 1, "parallel.zero", ["nearest: 2"]),
        ("parallel: {zero_prefetch: 3}", 1, "parallel.zero_prefetch",
         ["has a meaning only with parallel.zero=3"]),
        ("model: {dropout: 1}", 1, "model.dropout", ["< 1"]),
        ("model: {tie_embeddings: yes}", 1, "model.tie_embeddings",
         ["yes: ", "nearest: true"]),
        ("model: {family: gtp}", 1, "model.family",
         ["`gpt` or `llama`", "nearest: gpt"]),
        ("parallel: {data: atuo}", 1, "parallel.data",
         ["`auto` or an integer >= 1", "nearest: auto"]),
        ("parallel: {data: -2}", 1, "parallel.data", ["nearest: 1"]),
        ("parallel:\n  layers_per_stage:\n  - 2\n  - 0", 4,
         "parallel.layers_per_stage[1]", ["nearest: 1"]),
        ("parallel: {zero: 4}", 1, "parallel.zero",
         ["an integer >= 0 and <= 3", "nearest: 3"]),
        ("parallel: {zero_group: 0}", 1, "parallel.zero_group",
         ["nearest: 2"]),
        ("optimizer: {lr: .nan}", 1, "optimizer.lr", [".nan", "number > 0"]),
        ("optimizer: {lr: .inf}", 1, "optimizer.lr", [".inf"]),
        ("optimizer: {betas: [0.9]}", 1, "optimizer.betas", ["list of 2"]),
        ("optimizer: {betas: [0.9, 1]}", 1, "optimizer.betas[1]", ["< 1"]),
        ("run: {name: 33}", 1, "run.name", ['nearest: "33"']),
        ("run: {name: ''}", 1, "run.name", ["text"]),
        ("model: 3", 1, "model", ["no section", "layers"]),
        ("model: {momentum: 3}", 1, "model.momentum", ["optimizer.momentum"]),
        ("optimizer: {momentum: 0.9}", 1, "optimizer.momentum",
         ["optimizer.name=muon or sgd", "adamw (default)"]),
        ("precision: {compute: f16, initial_loss_scale: 0.5}", 1,
         "precision.initial_loss_scale", [">= 1 and <= 16777216"]),
        ("precision: {initial_loss_scale: 512.0}", 1,
         "precision.initial_loss_scale", ["precision.compute=f16", "auto"]),
        ("precision: {compute: bf16, loss_scale_window: 5}", 1,
         "precision.loss_scale_window", ["precision.compute=f16", "is bf16"]),
        ("optimizer: {stochastic_rounding: true}", 1,
         "optimizer.stochastic_rounding", ["precision.compute=bf16"]),
        ("precision: {compute: f16}\noptimizer: {stochastic_rounding: true}", 2,
         "optimizer.stochastic_rounding", ["precision.compute=bf16"]),
    ],
)  # fmt: skip
def test_bad_value_is_named(write, text, line, key, parts):
    path = write(text)
    found = problem(path)
    assert found.origin == f"{path}:{line}"
    assert found.key == key
    for part in parts:
        assert part in found.message
    assert str(found).startswith(f"{path}:{line}: {key}: ")


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("model:\n  layers: 1\n  layers: 2", 3, "first given on line 2"),
        ("model: {}\nmodel: {}", 2, "first given on line 1"),
        ("model: [", 1, "not YAML"),
        ("model: !!python/object:os.system {}", 1, "is not allowed"),
        ("run: {name: !x a}", 1, "tag !x is not allowed"),
        ("run: &a {name: *a}", 1, "contains itself"),
        ("3", 1, "a file holds sections"),
        ("[model]", 1, "a file holds sections"),
        ("a: 1\n---\nb: 2", 2, "not YAML"),
    ],
)
def test_bad_yaml_is_named(write, text, line, part):
    path = write(text)
    found = problem(path)
    assert found.origin == f"{path}:{line}"
    assert part in found.message


def test_all_problems_are_reported_at_once(write):
    path = write("model: {layers: 0, heads: x}\ntrain: {stepz: 1}")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    keys = {p.key for p in caught.value.problems}
    assert keys == {"model.layers", "model.heads", "train.stepz"}


@pytest.mark.parametrize(
    ("option", "key", "part"),
    [
        ("model.layer=2", "model.layer", "closest: model.layers"),
        ("model.layers=0", "model.layers", "nearest: 1"),
        ("model.layers=[1", "model.layers", "not YAML"),
        ("model.layers.x=1", "model.layers", "{x: 1}"),
        ("layers", "", "section.key=value"),
        ("=3", "", "section.key=value"),
        ("data.train[0].path=a", "data.train[0]", "no item"),
    ],
)
def test_bad_option_is_named(option, key, part):
    found = problem(None, [option])
    assert found.origin == "command line"
    assert found.key == key
    assert part in found.message


def test_file_that_cannot_be_read(tmp_path):
    missing = str(tmp_path / "no.yaml")
    assert "No such file" in str(problem(missing))
    assert problem(missing).origin == missing
    assert "is a folder" in problem(str(tmp_path)).message
    binary = tmp_path / "b.yaml"
    binary.write_bytes(b"a: \xff")
    assert "not UTF-8 at byte 3" in problem(str(binary)).message


def test_unused_key_is_fine_where_it_has_a_meaning():
    config = load_config(None, ["optimizer.name=sgd", "optimizer.momentum=0.9"])
    assert config.optimizer.momentum == 0.9
    config = load_config(None, ["model.family=llama", "model.rope_theta=1e6"])
    assert config.model.rope_theta == 1e6


def test_a_key_may_be_given_beside_one_that_is_chosen_later():
    alone, free = ["train.recompute_layers=2"], ["train.recompute"]
    assert load_config(None, alone, free=free).train.recompute_layers == 2
    with pytest.raises(ConfigError, match="has a meaning only with"):
        load_config(None, alone)
    with pytest.raises(ConfigError, match="has a meaning only with"):
        load_config(None, [*alone, "train.recompute=none"], free=free)


def test_a_chosen_key_of_a_file_stands_in_no_ones_way(write):
    file = write("train: {recompute: block, recompute_layers: 2}")
    free = ["train.recompute", "train.recompute_layers"]
    config = load_config(file, ["train.recompute=none"], free=free)
    assert config.train.recompute == "none"


def test_values_of_a_program_keep_the_same_rules():
    config = make_config(model={"layers": 2, "heads": 8}, train={"steps": 5})
    assert (config.model.layers, config.train.steps) == (2, 5)
    assert config.model.kv_heads == 8
    assert config.origin("model.layers") == "program"
    assert config.origin("model.kv_heads") == "derived: model.heads"
    assert config.origin("model.hidden") == "default"
    with pytest.raises(ConfigError) as caught:
        make_config(model={"layer": 2}, train={"steps": 0})
    first, second = map(str, caught.value.problems)
    assert first.startswith("program: model.layer: unknown key; closest: ")
    assert second.startswith("program: train.steps: 0: must be ")


def test_a_path_stands_for_what_it_holds(write):
    path = write("model: {layers: 2}")
    config = as_config(path)
    assert config.model.layers == 2
    assert config.run.name == "c"  # resolved, as the command does
    assert as_config(config) is config


@pytest.mark.parametrize("value", [{"model": {}}, None, 3])
def test_what_is_no_configuration_is_told(value):
    with pytest.raises(TypeError, match="a configuration is the path of a"):
        as_config(value)


def test_a_number_of_too_many_digits_is_a_problem_of_its_line(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("run: {log_every: 1}\ntrain:\n  steps: " + "9" * 5000)
    with pytest.raises(ConfigError, match=r"a\.yaml:3: train\.steps: 99999.*"):
        load_config(path)


@pytest.mark.parametrize(
    ("text", "what"), [("1e-400", "close to 0"), ("-1.5E999", "large")]
)
def test_a_number_that_cannot_be_held_is_shown_as_it_was_written(text, what):
    found = problem(None, [f"optimizer.lr={text}"])
    assert found.key == "optimizer.lr"
    assert found.message == f"{text}: is too {what} for a number of 64 bits"
    assert load_config(None, ["optimizer.min_lr=0.0e5"]).optimizer.min_lr == 0
