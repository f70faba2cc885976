"""study_figures: what is drawn is what was measured."""

import matplotlib.pyplot as plt
import pytest
from test_records import make

from contrastive_tutorial.effects import Effect, measure
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.study_figures import forest, shift_against_gain, statistics_dots


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def test_forest_draws_every_recorded_contrast():
    records = [make("B0", s, accuracy=0.2) for s in range(3)]
    records += [make("S-P1", s, accuracy=0.1 + 0.02 * s) for s in range(3)]
    effects = (Effect("S-P1", "B0", "split", primary=True), Effect("GN", "B0", "gn"))
    measured = measure(records, effects=effects)
    (ax,) = forest(measured, "cluster_accuracy").axes
    (label,) = [text.get_text() for text in ax.get_yticklabels()]
    assert label == "★ split\nS-P1 − B0, n = 3"
    assert list(ax.lines[0].get_xdata()) == pytest.approx([-0.1, -0.08, -0.06])
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


def test_shift_against_gain_names_every_policy():
    shifts = {k: 0.1 * (k + 1) for k in range(10)}
    falls = {k: [0.01 * k, 0.02 * k] for k in range(10)}
    (ax,) = shift_against_gain(shifts, falls).axes
    assert len(ax.texts) == 10
    assert "n = 2 seeds" in ax.get_title()
