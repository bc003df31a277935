import pytest

from eisbach.config import load_config, resolve
from eisbach.fitting import fit
from eisbach.planning.keys import (
    argument_lines,
    arguments,
    chosen,
    fragment,
)


def check(config, candidate):
    found = fit(config, candidate.layout.devices)
    assert found.mesh.size("tensor") == candidate.layout.tensor
    assert found.mesh.size("pipeline") == candidate.layout.pipeline
    assert found.engine.recompute == candidate.layout.recompute
    layers = found.engine.recompute_layers
    assert (layers or "all") == candidate.layout.recompute_layers
    assert found.engine.micro_batch == candidate.layout.micro_batch


# Of the file: what means nothing beside some of the layouts.
@pytest.mark.parametrize(
    "given",
    [
        "",
        "parallel: {schedule: interleaved, chunks: 2, pipeline: 2}\n"
        "train: {recompute: block, recompute_layers: 1}\n",
    ],
)
def test_they_are_a_layout_on_a_command_line_and_in_a_file(
    planned, small, repo, tmp_path, given
):
    base = tmp_path / "base.yaml"
    base.write_text(f"base: {repo}/configs/llama_bytes.yaml\n{given}")
    plan = planned(base=base)
    assert len(plan.found.fitting) > 10
    for candidate in plan.found.fitting[:20]:
        keys = [*small, "run.device=cpu"]
        behind = arguments(plan, candidate)
        check(resolve(load_config(base, [*keys, *behind])), candidate)
        file = tmp_path / "chosen.yaml"
        text = "\n".join(fragment(plan, candidate))
        file.write_text(f"base: base.yaml\n{text}\n")
        check(resolve(load_config(file, keys)), candidate)


def test_what_means_nothing_is_left_out(planned, piped):
    plan = planned("parallel.pipeline=1", "train.recompute=none")
    keys = chosen(plan, plan.best)
    assert "train.recompute_layers" not in keys
    assert "parallel.schedule" not in keys
    assert chosen(piped, piped.best)["parallel.schedule"] == "1f1b"


def test_a_shell_reads_the_lines_as_one(piped):
    lines = list(argument_lines(piped, piped.best))
    assert len(lines) > 1
    assert max(map(len, lines)) <= 80
    whole = " ".join(line.removesuffix(" \\") for line in lines)
    assert whole.split() == arguments(piped, piped.best)
    assert [line.endswith(" \\") for line in lines] == [
        *[True] * (len(lines) - 1),
        False,
    ]


def test_experts_are_a_remark(of_experts):
    assert list(fragment(of_experts, of_experts.best))[-1] == (
        "# expert: 4, which training does not have yet"
    )
    assert "expert" not in " ".join(arguments(of_experts, of_experts.best))
