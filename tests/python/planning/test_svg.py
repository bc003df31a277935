import re
from xml.etree import ElementTree

from eisbach.planning import svg

NAMES = {"a": "first <kind>", "b": "second"}


def rects(text):
    return [
        e for e in ElementTree.fromstring(text).iter() if e.tag.endswith("rect")
    ]


def test_parts_are_as_long_as_they_are():
    drawn = svg.bars(
        [svg.Bar("one & <two>", {"a": 1, "b": 3}, "4"), svg.Bar("x", {"a": 2})],
        NAMES,
        [svg.Mark(8, "all")],
    )
    first, second, third = (float(r.get("width")) for r in rects(drawn))
    assert second == 3 * first
    assert third == 2 * first
    texts = [
        e.text
        for e in ElementTree.fromstring(drawn).iter()
        if e.tag.endswith("text")
    ]
    assert texts == ["all", "one & <two>", "4", "x"]


def test_nothing_is_drawn_of_nothing():
    assert rects(svg.bars([svg.Bar("x", {"a": 0, "b": 0})], NAMES)) == []


def test_a_legend_names_each_colour():
    legend = ElementTree.fromstring(svg.legend(NAMES))
    assert [e.get("class") for e in legend.iter("i")] == ["a", "b"]
    assert "first <kind>" in "".join(legend.itertext())


def test_a_timeline_has_every_span(piped):
    drawn = svg.timeline(piped.timeline)
    boxes = 0
    for element in ElementTree.fromstring(drawn).iter():
        if element.tag.endswith("path") and element.get("class") != "exposed":
            boxes += len(re.findall("M", element.get("d")))
    assert boxes == sum(len(spans) for spans in piped.timeline.stages)
