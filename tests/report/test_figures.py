"""figures: they show what the records hold, and refuse to mix."""

import matplotlib
import numpy as np
import pytest
from recorded import make

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.records import load_records
from contrastive_tutorial.report import figures
from contrastive_tutorial.study.cells import CELLS

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def _close():
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


def three_cells():
    return [
        make(cell, seed, accuracy=0.1 * (seed + 1) + 0.01 * index)
        for index, cell in enumerate(("M-P1", "B0", "S-P1"))
        for seed in range(3)
    ]


def test_loss_curves_have_a_line_per_record_and_a_label_per_cell():
    ax = figures.loss_curves(three_cells()).axes[0]
    assert len(ax.lines) == 9
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), [(0, 6.9), (10, 5.5)])
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["Baseline (B0)", "Split (S-P1)", "Mixed (M-P1)"]
    assert "n = 3 seeds" in ax.get_title()
    assert "nats" in ax.get_ylabel()


def test_curves_of_more_cells_than_there_are_colours():
    records = [make(cell, num_subsets=k) for cell in CELLS for k in (5, 10)]
    assert len(figures.loss_curves(records).axes[0].lines) == 2 * len(CELLS)
    assert len(figures.metric_by_subsets(records, "cluster_accuracy").axes[0].lines) == 2 * len(
        CELLS
    )


def test_dots_are_the_values_and_the_bar_is_the_interval():
    reference = [make("pca", seed, accuracy=0.05 + 0.02 * seed) for seed in range(2)]
    fig = figures.metric_dots(three_cells(), ["cluster_accuracy"], reference)
    (ax,) = fig.axes
    dots, bar, mean = ax.lines[:3]
    np.testing.assert_allclose(dots.get_xdata(), [0.11, 0.21, 0.31])
    # mean 0.21, sd 0.1, t(0.975, 2) = 4.302653
    np.testing.assert_allclose(
        bar.get_xdata(), 0.21 + np.array([-1, 1]) * 4.302653 * 0.1 / 3**0.5, rtol=1e-5
    )
    np.testing.assert_allclose(mean.get_xdata(), [0.21])
    assert [tick.get_text() for tick in ax.get_yticklabels()] == [
        "Baseline (B0)",
        "Split (S-P1)",
        "Mixed (M-P1)",
    ]
    (line,) = [line for line in ax.lines if line.get_label() == "pca"]
    np.testing.assert_allclose(line.get_xdata(), 0.06)  # the mean over its seeds
    (legend,) = fig.legends
    assert [text.get_text() for text in legend.get_texts()] == ["pca"]
    assert "n = 3 seeds" in fig.get_suptitle()


def test_metric_against_the_number_of_subsets():
    records = [make(num_subsets=k, accuracy=0.01 * k) for k in (20, 1, 5)]
    ax = figures.metric_by_subsets(records, "cluster_accuracy").axes[0]
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [0.01, 0.05, 0.2])
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["1", "5", "20"]
    assert "n = 1 seeds a point" in ax.figure.get_suptitle()


def test_embedding_scatter_shows_every_point_by_class_or_subset(tmp_path):
    path = make().save(tmp_path, {"labels": np.arange(30) % 3, "subsets": np.arange(30) % 12})
    (record,) = load_records(tmp_path)
    with pytest.raises(InputError, match="contrastive-tutorial embed"):
        figures.embedding_scatter(record, "abc")
    points = np.random.default_rng(0).normal(size=(30, 2))
    np.savez(path.with_suffix(".umap.npz"), embedding=points, embedding_subset=-points)
    ax = figures.embedding_scatter(record, ["a", "b", "c"]).axes[0]
    assert [len(c.get_offsets()) for c in ax.collections] == [10, 10, 10]
    np.testing.assert_allclose(ax.collections[1].get_offsets(), points[1::3], rtol=1e-6)
    ax = figures.embedding_scatter(record, ["a", "b", "c"], "subset", own_policy=True).axes[0]
    assert len(ax.collections) == 12
    np.testing.assert_allclose(ax.collections[0].get_offsets(), -points[::12], rtol=1e-6)


def test_unlike_records_are_refused():
    with pytest.raises(InputError, match="one data set and preset"):
        figures.loss_curves([make(), make(preset="gpu")])
    with pytest.raises(InputError, match="at least one"):
        figures.metric_dots([], ["nmi"])
