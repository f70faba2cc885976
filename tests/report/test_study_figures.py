"""study_figures: what is drawn is what was measured."""

import numpy as np
import pytest
from recorded import make

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.records import NotRecordedError
from contrastive_tutorial.report import glyph
from contrastive_tutorial.report.study_figures import (
    along_training,
    by_subsets,
    differences_along,
    differences_by_subsets,
    forest,
    leak,
    statistics_dots,
)
from contrastive_tutorial.study import CELLS
from contrastive_tutorial.verdicts.contrasts import Effect, measure
from contrastive_tutorial.widgets.board import registered_cells

STEPS = (5, 20, 45)


def along(cell, seed, scores, name="knn10"):
    extra = {f"along/{name}/{step}": score for step, score in zip(STEPS, scores, strict=True)}
    return make(cell, seed, extra=extra)


def test_differences_along_training_are_paired_step_by_step():
    records = [along("same-bn-cross", s, (0.3, 0.4, 0.5 + 0.1 * s)) for s in range(2)]
    records += [along("same-dsbn-cross", s, (0.31, 0.35, 0.4)) for s in range(2)]
    records += [along("shared-bn-cross", 0, (0.2, 0.2, 0.2)), make("untrained")]
    found = differences_along(records, "same-bn-cross")
    assert list(found) == ["same-dsbn-cross", "shared-bn-cross"]  # as they are registered
    assert found["same-dsbn-cross"][0] == pytest.approx({5: 0.01, 20: -0.05, 45: -0.1})
    assert found["same-dsbn-cross"][1][45] == pytest.approx(-0.2)
    assert list(found["shared-bn-cross"]) == [0]
    figure = along_training(records, "same-bn-cross")
    (ax,) = figure.axes
    drawn = {line.get_label(): line.get_ydata() for line in ax.lines}
    assert drawn["same-dsbn-cross (2)"] == pytest.approx([0.01, -0.05, -0.15])
    assert drawn["shared-bn-cross (1)"] == pytest.approx([-0.1, -0.2, -0.3])
    thin = [line for line in ax.lines if line.get_linewidth() < 0.75]
    assert len(thin) == 2  # a cell with one seed is its own mean
    assert "n = 1-2 seeds (thin: seeds, thick: mean)" in figure.get_suptitle()
    assert (
        "thin"
        not in along_training([r for r in records if r.seed == 0], "same-bn-cross").get_suptitle()
    )


def test_differences_by_subsets_are_paired_at_one_number_of_subsets():
    made = [("same-bn-cross", k, s, 0.5 + 0.1 * s + 0.01 * k) for k in (2, 20) for s in range(3)]
    made += [("same-dsbn-cross", k, s, 0.5 + 0.1 * s) for k in (2, 20) for s in range(2)]
    made += [("same-dsbn-cross", 5, 0, 0.9)]  # without a partner
    made += [("equal-bn-cross", 2, 4, 0.3), ("equal-split-within", 2, 4, 0.4)]
    records = [make(c, s, num_subsets=k, accuracy=a) for c, k, s, a in made]
    baselines = ("same-bn-cross", "equal-bn-cross")
    table = differences_by_subsets(records, "cluster_accuracy", baselines)
    found = {(r.cell, r.K, r.seed): (r.baseline, r.value) for r in table.itertuples()}
    assert found == {
        ("same-dsbn-cross", 2, 0): ("same-bn-cross", pytest.approx(-0.02)),
        ("same-dsbn-cross", 2, 1): ("same-bn-cross", pytest.approx(-0.02)),
        ("same-dsbn-cross", 20, 0): ("same-bn-cross", pytest.approx(-0.2)),
        ("same-dsbn-cross", 20, 1): ("same-bn-cross", pytest.approx(-0.2)),
        ("equal-split-within", 2, 4): ("equal-bn-cross", pytest.approx(0.1)),
    }
    figure = by_subsets(records, "cluster_accuracy", baselines)
    left, right = figure.axes
    np.testing.assert_allclose(left.lines[0].get_ydata(), [-0.02, -0.2])
    assert [text.get_text() for text in right.get_legend().get_texts()] == ["equal-split-within"]
    assert "n = 1-2 seeds a point" in figure.get_suptitle()
    with pytest.raises(NotRecordedError, match="no run is recorded beside one-bn-cross"):
        by_subsets(records, "cluster_accuracy", ["one-bn-cross"])


def test_long_names_leave_no_room_for_squares():
    cells = ("S-P1", "B0", "ghost-same-5", "ghost-shuffle-5")
    records = [make(cell, s, accuracy=0.1 + 0.02 * s) for cell in cells for s in range(2)]
    effects = [Effect("S-P1", "B0", ""), Effect("ghost-same-5", "ghost-shuffle-5", "")]
    figure = forest(measure(records, effects=effects), "cluster_accuracy")
    said = [text.get_text() for text in figure.axes[0].texts[1::2]]
    assert ["■" in text for text in said] == [True, False]
    assert figure.get_supxlabel().startswith("squares: policy")
    alone = forest(measure(records, effects=effects[1:]), "cluster_accuracy")
    assert alone.get_supxlabel() == ""


def test_squares_tell_registered_cells_apart():
    cells = registered_cells(["hypotheses", "amendment-a"])
    assert len({glyph(cell) for cell in cells}) == len(cells)
    assert [glyph(cell) for cell in ("S-P0", "M-aff", "M-split", "GN")] == [
        "□■◧", "■□◨", "■□◧", "□□▦",
    ]  # fmt: skip
    assert glyph("untrained") == glyph("no such cell") == ""
    assert all(glyph(cell.name) for cell in CELLS.values() if not cell.reference)


def test_what_was_not_measured_along_training_is_refused_or_left_out():
    base = [along("same-bn-cross", s, (0.3, 0.4, 0.5)) for s in range(2)]
    assert differences_along(base, "same-bn-cross") == {}
    assert differences_along(base, "same-dsbn-cross") == {}
    with pytest.raises(NotRecordedError, match="nothing is recorded along same-bn-cross"):
        along_training(base, "same-bn-cross")
    short = make("same-dsbn-cross", 0, extra={"along/knn10/5": 0.3})
    with pytest.raises(NotRecordedError, match="along/knn10/20"):
        differences_along([*base, short], "same-bn-cross")
    later = along(
        "same-dsbn-cross", 1, (0, 0, 0)
    )  # seed 0 may be on its way: a figure decides nothing
    assert list(differences_along([*base, later], "same-bn-cross")["same-dsbn-cross"]) == [1]
    assert differences_along([*base, along("same-dsbn-cross", 5, (0, 0, 0))], "same-bn-cross") == {}


def test_forest_draws_every_recorded_contrast():
    records = [make("B0", s, accuracy=0.2) for s in range(3)]
    records += [make("S-P1", s, accuracy=0.1 + 0.02 * s) for s in range(3)]
    effects = (Effect("S-P1", "B0", "split", primary=True), Effect("GN", "B0", "gn"))
    measured = measure(records, effects=effects)
    (ax,) = forest(measured, "cluster_accuracy").axes
    asked, label = [text.get_text() for text in ax.texts]
    assert asked == "★ split"
    assert label == "S-P1 − B0  ■■◧ − □□□, n = 3"
    assert list(ax.collections[0].get_offsets()[:, 0]) == pytest.approx([-0.1, -0.08, -0.06])
    assert "difference in cluster accuracy" in ax.get_xlabel()
    with pytest.raises(InputError, match="none of these contrasts"):
        forest(measured[1:], "cluster_accuracy")


def test_statistics_of_one_cell():
    records = [
        make("S-P1", s, evaluation="branch:0", evaluations={
            how: {"cluster_accuracy": 0.1 * i + 0.01 * s}
            for i, how in enumerate(["branch:10", "branch:0", "pooled"])
        })
        for s in range(2)
    ]  # fmt: skip
    (ax,) = statistics_dots(records).axes
    labels = [text.get_text() for text in ax.get_yticklabels()]
    assert labels == ["pooled", "branch:0 (headline)", "branch:10"]
    with pytest.raises(InputError, match="one cell"):
        statistics_dots([*records, make("B0")])
    for how in records[1].evaluations.values():
        del how["cluster_accuracy"]
    with pytest.raises(NotRecordedError, match="S-P1-K10-s1: evaluations"):
        statistics_dots(records)
    with pytest.raises(NotRecordedError, match="no evaluation statistics"):
        statistics_dots([make()])


def test_the_leak_is_drawn_beside_the_baseline():
    def scores(value):
        names = ("contrastive_train", "contrastive_eval", "loss_final", "knn200")
        return dict.fromkeys(names, value)

    records = [make("B0", s, metrics=scores(0.5)) for s in range(2)]
    records += [
        make(f"ghost-{kind}-{m}", s, metrics=scores(m / 100 + s / 10))
        for kind in ("same", "shuffle") for m in (5, 50) for s in range(2)
    ]  # fmt: skip
    fig = leak(records)
    lines = [line for line in fig.axes[3].lines if len(line.get_xdata())]
    curves = {line.get_label(): line for line in lines}
    means = np.asarray(lines[0].get_ydata(), float)
    assert list(means[np.isfinite(means)]) == pytest.approx([0.1, 0.55])
    assert list(curves["B0"].get_ydata()) == [0.5, 0.5]
    del records[0].metrics["knn200"]  # the baseline is drawn of the runs that have it
    leak(records)
    del records[-1].metrics["knn200"]
    with pytest.raises(NotRecordedError, match="ghost-shuffle-50-K10-s1: metrics has no 'knn200'"):
        leak(records)
    assert "n = 2 seeds a point" in fig.get_suptitle()
    with pytest.raises(InputError, match="no run of ghost"):
        leak(records[:2])


@pytest.mark.parametrize("step", ["x", "", "-1", "４５", "9" * 40])
def test_a_step_that_is_no_number_is_left_out(step):
    records = [along(cell, 0, (0.3, 0.4, 0.5)) for cell in ("same-bn-cross", "same-dsbn-cross")]
    for record in records:
        record.extra[f"along/knn10/{step}"] = 0.1
    assert list(differences_along(records, "same-bn-cross")["same-dsbn-cross"][0]) == list(STEPS)
