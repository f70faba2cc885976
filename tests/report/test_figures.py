"""figures: they show what the records hold, and refuse to mix."""

import warnings

import matplotlib
import numpy as np
import pytest
from recorded import make

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.records import NotRecordedError, load_records
from contrastive_tutorial.report import figures
from contrastive_tutorial.study.cells import CELLS

matplotlib.use("Agg")


def three_cells():
    return [
        make(cell, seed, accuracy=0.1 * (seed + 1) + 0.01 * index)
        for index, cell in enumerate(("M-P1", "B0", "S-P1"))
        for seed in range(3)
    ]


def labels(ax):
    return [tick.get_text() for tick in ax.get_yticklabels()]


def test_loss_curves_have_a_line_per_record_and_a_label_per_cell():
    ax = figures.loss_curves(three_cells()).axes[0]
    curves = [line for line in ax.lines if len(line.get_xdata())]
    assert len(curves) == 9
    np.testing.assert_array_equal(curves[0].get_xydata(), [(0, 6.9), (10, 5.5)])
    shown = [text.get_text() for text in ax.get_legend().get_texts()]
    assert shown == ["Baseline (B0)", "Split (S-P1)", "Mixed (M-P1)"]
    assert "n = 3 seeds" in ax.get_title()
    assert "nats" in ax.get_ylabel()


def test_curves_of_more_cells_than_there_are_colours():
    records = [make(cell, num_subsets=k) for cell in CELLS for k in (5, 10)]
    curves = figures.loss_curves(records).axes[0].lines
    assert len([line for line in curves if len(line.get_xdata())]) == 2 * len(CELLS)
    legend = figures.metric_by_subsets(records, "cluster_accuracy").legends[0]
    assert len(legend.get_texts()) == len(CELLS)


def test_dots_are_the_values_and_the_bar_is_the_interval():
    reference = [make("pca", seed, accuracy=0.05 + 0.02 * seed) for seed in range(2)]
    fig = figures.metric_dots(three_cells(), ["cluster_accuracy"], reference)
    (ax,) = fig.axes
    (seeds,) = (c.get_offsets() for c in ax.collections)
    baseline = seeds[np.isclose(seeds[:, 1], -0.14)]  # the first row
    np.testing.assert_allclose(baseline[:, 0], [0.11, 0.21, 0.31])
    # mean 0.21, sd 0.1, t(0.975, 2) = 4.302653
    ends = 0.21 + np.array([-1, 1]) * 4.302653 * 0.1 / 3**0.5
    drawn = [np.asarray(line.get_xdata(), float) for line in ax.lines]
    drawn = [sorted(x[np.isfinite(x)]) for x in drawn]
    assert any(len(x) == 2 and np.allclose(x, ends, rtol=1e-5) for x in drawn)
    assert any(len(x) == 1 and np.allclose(x, 0.21) for x in drawn)
    assert labels(ax) == ["Baseline (B0)", "Split (S-P1)", "Mixed (M-P1)"]
    (line,) = [line for line in ax.lines if line.get_label() == "pca"]
    np.testing.assert_allclose(line.get_xdata(), 0.06)  # the mean over its seeds
    (legend,) = fig.legends
    assert [text.get_text() for text in legend.get_texts()] == ["pca"]
    assert "n = 3 seeds" in fig.get_suptitle()
    assert ax.get_xlabel().endswith("(guessing scores 0.1)")  # shapes have ten classes


def test_guessing_is_said_where_the_classes_are_known():
    def said(**options):
        return figures.metric_dots([make(**options)], ["cluster_accuracy"]).axes[0].get_xlabel()

    assert said(data="cifar100", class_names=["a", "b"]).endswith("(guessing scores 0.5)")
    assert said(data="cifar100") == "cluster accuracy"


def test_class_names_are_the_records_own():
    assert figures.class_names("cifar10-jpeg75")[0] == "airplane"
    assert figures.class_names("cifar100") == figures.class_names("cifar10-mine") == ()
    assert figures.class_names("cifar10", ["x"]) == ("x",)


def test_metric_against_the_number_of_subsets():
    records = [make(num_subsets=k, accuracy=0.01 * k) for k in (20, 1, 5)]
    fig = figures.metric_by_subsets(records, "cluster_accuracy")
    (ax,) = fig.axes
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [0.01, 0.05, 0.2])
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["1", "5", "20"]
    assert "n = 1 seed a point" in fig.get_suptitle()


@pytest.mark.parametrize(
    "draw",
    [
        lambda records: figures.metric_dots(records, ["cluster_accuracy", "knn10"]),
        lambda records: figures.metric_by_subsets(records, "knn10"),
    ],
)
def test_a_metric_that_one_record_lacks_is_named(draw):
    records = [make(seed=s, metrics={"cluster_accuracy": 0.2, "knn10": 0.3}) for s in range(2)]
    with pytest.raises(NotRecordedError, match="B0-K10-s7: metrics has no 'knn10'"):
        draw([*records, make(seed=7)])


@pytest.mark.parametrize("name", ["$\\frac{$", "$x$", "a" * 200, "图片", "<b>"])
def test_no_name_of_a_record_is_a_formula(name, tmp_path):
    path = make(data="x", class_names=[name]).save(tmp_path, {"labels": np.zeros(2, int)})
    (record,) = load_records(tmp_path)
    record.save_embedding({"embedding": np.zeros((2, 2))})
    records = [make(cell="$x_{$", data="$x_{$", preset="$"), make(data="$x_{$", preset="$")]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        for fig in (
            figures.embedding_scatter(record, record.class_names),
            figures.metric_dots(records, ["cluster_accuracy"], records),
            figures.metric_by_subsets(records, "cluster_accuracy"),
            figures.loss_curves(records),
        ):
            fig.savefig(tmp_path / "x.svg")
    assert path.exists()


def test_embedding_scatter_shows_every_point_by_class_or_subset(tmp_path):
    make().save(tmp_path, {"labels": np.arange(30) % 3, "subsets": np.arange(30) % 12})
    (record,) = load_records(tmp_path)
    with pytest.raises(InputError, match="contrastive-tutorial embed"):
        figures.embedding_scatter(record, "abc")
    points = np.random.default_rng(0).normal(size=(30, 2))
    record.save_embedding({"embedding": points, "embedding_subset": -points})
    fig = figures.embedding_scatter(record, ["a", "b", "c"])
    found = fig.axes[0].collections[0].get_offsets()
    np.testing.assert_allclose(found, points, rtol=1e-6)
    assert [text.get_text() for text in fig.axes[0].get_legend().get_texts()] == ["a", "b", "c"]
    fig = figures.embedding_scatter(record, ["a", "b", "c"], "subset")
    np.testing.assert_allclose(fig.axes[0].collections[0].get_offsets(), -points, rtol=1e-6)
    assert len(fig.axes[0].get_legend().get_texts()) == 12


def test_unlike_records_are_refused():
    with pytest.raises(InputError, match="one data set and preset"):
        figures.loss_curves([make(), make(preset="gpu")])
    with pytest.raises(InputError, match="at least one"):
        figures.metric_dots([], ["nmi"])
