from pathlib import Path

import pytest

from eisbach.cli.plan_output import Outputs


def outputs(**paths):
    names = ("json", "html", "timeline", "trace")
    return Outputs(*(paths.get(name) for name in names))


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        (
            {"html": "a.htm"},
            r"--html .*a\.htm: .*nearest that works: .*a\.html",
        ),
        ({"timeline": "a.svg"}, r"--timeline .*nearest that works: .*a\.png"),
        ({"trace": "none/a.json"}, r"--trace .*there is no folder"),
        ({"json": "a.json", "trace": "./a.json"}, "--json names the same file"),
    ],
)
def test_places_are_refused_before_anything_is_computed(tmp_path, paths, words):
    with pytest.raises(ValueError, match=words):
        outputs(
            **{name: tmp_path / path for name, path in paths.items()}
        ).check()


def test_standard_output_is_no_file(tmp_path):
    piped = outputs(json=Path("-"), trace=tmp_path / "a.json")
    piped.check()
    assert piped.piped
