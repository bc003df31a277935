import re
from dataclasses import replace
from xml.etree import ElementTree

from eisbach.hardware import HardwareFile, changed
from eisbach.planning import figures, fragment, words
from eisbach.planning.constraints import constraints
from eisbach.planning.keys import argument_lines
from eisbach.planning.page import page


def read(text):
    head, _, rest = text.partition("\n")
    assert head == "<!DOCTYPE html>"
    return ElementTree.fromstring(rest)


def cells(table):
    return [
        ["".join(cell.itertext()) for cell in row] for row in table.iter("tr")
    ]


def test_it_is_whole_and_has_the_numbers_of_the_plan(planned):
    plan = planned(price=2.0)
    more = list(constraints(plan))
    text = page(plan, rows=6, more=more)
    tree = read(text)
    rows = cells(next(tree.iter("table")))
    assert len(rows) == 7
    for row, candidate in zip(rows[1:], plan.found.fitting, strict=False):
        told = dict(zip(rows[0], row, strict=True))
        step = figures.step(plan, candidate)
        assert told["layout"] == words.layout(candidate.layout)
        assert told["s/step"] == words.seconds(step.value)
        assert told["range"] == words.span(step.low, step.high)
        assert told["MFU"] == f"{figures.of_peak(plan, candidate):.1%}"
    behind, below = ("".join(e.itertext()) for e in tree.iter("pre"))
    assert behind.splitlines() == list(argument_lines(plan, plan.best))
    assert below.splitlines() == list(fragment(plan, plan.best))
    said = ["".join(item.itertext()) for item in tree.iter("li")]
    assert said == [one.says for one in more]
    assert len([e for e in tree.iter() if e.tag.endswith("svg")]) == 3
    assert "EUR" in text


def test_it_needs_nothing_from_elsewhere(planned, piped):
    for plan in (planned(), piped):
        text = page(plan)
        assert not re.search(r"(src|href|@import|url\()", text)
        addresses = set(re.findall(r"https?://[^\s\"'<)]+", text))
        assert addresses <= {"http://www.w3.org/2000/svg"}
        assert "prefers-color-scheme: dark" in text
        assert "<script" not in text


def test_every_string_of_a_user_is_escaped(planned, repo, tmp_path):
    text = (repo / "configs/hardware/dgx-h100.yaml").read_text()
    bad = "<script>alert('&')</script>"
    file = tmp_path / "mine.yaml"
    file.write_text(text.replace("name: DGX H100", f'name: "{bad}"'))
    shown = page(planned(machine=str(file)))
    assert "<script" not in shown
    assert bad in "".join(read(shown).itertext())


def test_what_is_only_modelled_or_never_compared_stands_out(planned):
    tree = read(page(planned(products="f8", machine="rtx-pro-6000")))
    warned = [
        "".join(e.itertext())
        for e in tree.iter("p")
        if e.get("class") == "warn"
    ]
    assert len(warned) == 2
    assert "not yet in the runtime" in warned[0]
    assert warned[1].startswith("No measured step")


def test_experts_are_told(of_experts):
    text = "".join(read(page(of_experts)).itertext())
    assert "Modelled, not yet in the runtime: 16 experts of width 512" in text
    assert "of which a token meets" in text
    assert "e: expert ranks" in text


def test_every_class_that_is_drawn_has_a_colour(piped):
    text = page(piped)
    style = text[text.index("<style>") : text.index("</style>")]
    drawn = [e for e in read(text).iter() if e.tag.endswith(("rect", "path"))]
    for kind in {word for e in drawn for word in e.get("class").split()}:
        assert f".{kind}" in style, kind


def test_what_was_measured_of_a_machine_is_told(planned):
    speed = {"latency_us": 1, "gb_per_s": 4, "staged_gb_per_s": 2}
    changes = {
        "ops.speeds": {"gelu": {"call_us": 2.5}},
        "domain.collectives": {"all_reduce": speed},
    }
    file = HardwareFile.model_validate(
        changed(planned().file, changes).model_dump(warnings=False)
    )
    text = page(replace(planned(), file=file))
    assert "speeds (gelu (call_us 2.5" in text
    assert "collectives (all_reduce (latency_us 1, gb_per_s 4, " in text


def test_a_run_that_never_ends_says_why(planned):
    text = page(planned(mtbf=1e-300, price=2.0))
    read(text)
    assert "The whole run is never over: a failure every " in text
    assert "<b>never over</b>" in text
    assert not re.search(r"\b(inf|nan)\b", text)
