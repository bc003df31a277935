import pytest

from eisbach.cli.option_names import options_named


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "experts_per_token=9 is above experts=8; nearest: experts=9",
            "--experts-per-token 9 is above --experts 8; nearest: --experts 9",
        ),
        ("parallel.experts=9 and more_experts=9", None),
        ("experts = 9 of experts", None),
    ],
)
def test_terms_are_spelled_as_options(said, told):
    with (
        pytest.raises(ValueError) as caught,  # noqa: PT011
        options_named("experts", "experts_per_token"),
    ):
        raise ValueError(said)
    assert str(caught.value) == (told or said)
