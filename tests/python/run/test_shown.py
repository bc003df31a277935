from eisbach.run.shown import Shown


def test_it_returns_what_is_shown():
    assert Shown("a sum")(sum, [1, 2], start=3) == 6


def test_it_is_called_until_it_fails_once(capfd):
    calls = []

    def fail(*, really):
        calls.append(really)
        raise OSError(28, "No space left on device", "loss.png")

    show = Shown("the curve")
    assert show(fail, really=True) is None
    assert show(fail, really=True) is None
    assert calls == [True]
    assert capfd.readouterr().err == (
        "eisbach: warning: the curve is left out from here on: OSError: "
        "[Errno 28] No space left on device: 'loss.png'\n"
    )


def test_what_matters_later_is_tried_again(capfd):
    show = Shown("the deletion", again=True)
    assert show(int, "no number") is None
    assert show(int, "no number") is None
    assert show(int, "7") == 7
    told = capfd.readouterr().err
    assert told.startswith("eisbach: warning: the deletion failed: ValueError:")
    assert told.count("warning") == 1


def test_another_rank_fails_without_a_word(capfd):
    assert Shown("a", tells=False)(int, "no number") is None
    assert capfd.readouterr().err == ""
