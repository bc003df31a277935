"""What a run requires of the links between emulated GPUs."""


def test_what_is_required_and_in_use_is_told(train, monkeypatch):
    monkeypatch.setenv("EISBACH_NCCL_DOUBLE_MULTIMEM", "1")
    done, _ = train(
        "with-switches",
        "run.device=cuda",
        "network={nvls: required, mnnvl: required}",
        ranks=2,
    )
    assert not done.returncode, done.stderr
    assert (
        "data groups of 2: nccl, NVLink switches add (NVLS), 1 NVLink domain"
        in done.stdout
    )


def test_what_is_required_and_not_in_use_stops_the_run(train):
    done, folder = train(
        "no-switches", "run.device=cuda", "network.nvls=required", ranks=2
    )
    assert done.returncode
    assert (
        "command line: network.nvls: nvls is required, and the data group of "
        "ranks 0, 1 does not have it: no NVLink switch adds for it"
        in done.stderr
    )
    assert not folder.exists()
