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


def test_another_rank_fails_without_a_word(capfd):
    assert Shown("a", tells=False)(int, "no number") is None
    assert capfd.readouterr().err == ""
