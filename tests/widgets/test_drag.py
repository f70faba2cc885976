"""Marks that a reader may drag: what follows them, and where they lie in a figure."""

from __future__ import annotations

import matplotlib
import pytest

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.report.style import picture
from contrastive_tutorial.widgets.controls import read_choices
from contrastive_tutorial.widgets.drag import Mark, check_marks, places, read_drag

matplotlib.use("Agg")
import matplotlib.pyplot as plt

CONTROLS = read_choices(lambda a, b: a, {"a": [1, 2], "b": [3, 4]})


def test_marks_follow_choices_by_name():
    assert read_drag(None, CONTROLS) == ()
    marks = read_drag({"P": "b", "Q": ["b", "a"]}, CONTROLS)
    assert marks == (Mark("P", (1,)), Mark("Q", (1, 0)))


@pytest.mark.parametrize(
    ("drag", "message"),
    [
        ({"P": "c"}, r"the mark 'P' should follow one or more of the choices \['a', 'b'\]"),
        ({"P": []}, r"each once, got \[\]"),
        ({"P": ["a", "a"]}, r"each once, got \['a', 'a'\]"),
        (["P"], "drag: expected a dict of gid and names of choices, got list"),
    ],
)
def test_marks_that_follow_nothing_are_refused(drag, message):
    with pytest.raises(InputError, match=message):
        read_drag(drag, CONTROLS)


@pytest.mark.parametrize("layout", ["none", "constrained"])
def test_places_are_where_the_drawing_shows_them(layout):
    """The oracle is the axes' own transformation of data to pixels."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(5, 3), layout=layout)
    left.plot([0, 1], [5, 6])
    left.set(ylabel="a label that takes room", aspect="equal")
    right.semilogy([1, 2], [1, 100])
    right.plot(1.3, 20, "s", gid="line")
    left.plot([0.2, 0.4], [5.5, 5.9], "o", gid="two")
    left.text(0.5, 5.5, "x", gid="text")
    right.plot(1, 1, "o", gid="hidden", visible=False)
    picture(figure, "a picture")  # draws it
    gids = ("line", "two", "text", "hidden", "nowhere")
    found = places(figure, [Mark(gid, (0,)) for gid in gids])
    assert set(found) == {"line", "two"}
    for gid, axes, at in [("line", right, (1.3, 20)), ("two", left, (0.3, 5.7))]:
        x, y = figure.transFigure.inverted().transform(axes.transData.transform(at))
        assert found[gid] == pytest.approx((x, 1 - y), abs=2e-4)


def test_marks_outside_the_figure_cannot_be_dragged():
    figure, axes = plt.subplots()
    axes.set(xlim=(0, 1))
    axes.plot(9, 0.5, "o", gid="far")
    axes.plot(float("nan"), 0.5, "o", gid="nan")
    picture(figure, "a picture")
    assert places(figure, [Mark("far", (0,)), Mark("nan", (0,))]) == {}


def test_a_mark_needs_two_places():
    mark = Mark("P", (0,))
    check_marks("name", [mark], [{}, {"P": (0, 0.5, 0.5)}, {"P": (0, 0.5, 0.6)}])
    with pytest.raises(InputError, match="widget 'name': drag: no figure shows a mark 'P'"):
        check_marks("name", [mark], [{}, {}])
    with pytest.raises(InputError, match="widget 'name': drag: the mark 'P' lies in one place"):
        check_marks("name", [mark], [{"P": (0, 0.5, 0.5)}, {"P": (0, 0.5, 0.5)}])
