"""Public functions of Python name an argument of another type."""

import pytest

import eisbach
from eisbach import export
from eisbach.arguments import takes


@takes(size=int, names=[str], where=(int, str))
def function(size=1, names=(), where=None):
    return size, names, where


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": "1"}, "function: size='1'; it takes an int"),
        ({"size": True}, "function: size=True; it takes an int"),
        ({"size": None}, "function: size=None; it takes an int"),
        ({"names": "abc"}, "function: names='abc'; it takes a list of str"),
        ({"names": ["a", 2]}, r"function: names\[1\]=2; it takes a str"),
        ({"where": {}}, "function: where is a dict; it takes an int or a str"),
    ],
)
def test_the_message_names_the_argument(arguments, message):
    with pytest.raises(TypeError, match=f"^{message}$"):
        function(**arguments)


def test_what_fits_is_taken():
    assert function(2, ["a"], where=None) == (2, ["a"], None)


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: eisbach.load_config(3), "path"),
        (lambda: eisbach.load_config(None, "model.layers=2"), "overrides"),
        (lambda: eisbach.load_config(None, [3]), "overrides"),
        (lambda: eisbach.resolve(3), "config"),
        (lambda: eisbach.resolve(eisbach.make_config(), vocab="x"), "vocab"),
        (lambda: eisbach.engine_config(None), "config"),
        (lambda: eisbach.update_config({}), "config"),
        (lambda: eisbach.make_mesh(None, 2), "config"),
        (lambda: eisbach.make_mesh(eisbach.make_config(), "2"), "world_size"),
        (lambda: eisbach.init(device=3), "device"),
        (lambda: eisbach.init(threads=[]), "threads"),
        (lambda: eisbach.init(interface=3), "interface"),
        (lambda: eisbach.train(3), "configuration"),
        (lambda: export.export_model(3, None, {}, None), "folder"),
        (lambda: export.export_model("a", None, {}, None), "model"),
        (lambda: export.write_gguf(3, None, {}, None), "path"),
        (lambda: export.read_model(None), "folder"),
    ],
)
def test_no_public_function_takes_anything_else(call, argument):
    with pytest.raises(TypeError, match=argument) as found:
        call()
    assert "\n" not in str(found.value)
