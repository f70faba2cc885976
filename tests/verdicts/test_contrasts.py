"""effects: the list names registered cells, and measuring pairs seeds."""

import numpy as np
import pytest
from recorded import make

from contrastive_tutorial import verdicts
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.study.cells import CELLS
from contrastive_tutorial.verdicts.contrasts import EFFECTS, Effect, effects_of, measure, seeds_for


def test_effects_are_pairs_of_registered_cells():
    assert {name for e in EFFECTS for name in (e.left, e.right)} <= set(CELLS)
    assert len({e.name for e in EFFECTS}) == len(EFFECTS)
    assert len({e.asks for e in EFFECTS}) == len(EFFECTS)


def test_the_primary_ones_are_those_registered():
    registered = verdicts.load_hypotheses().rules.primary
    assert [(e.left, e.right) for e in EFFECTS if e.primary] == list(registered.values())


def test_a_registered_study_names_its_own_contrasts():
    effects = effects_of(verdicts.load_hypotheses("amendment-a"))
    primary = [effect.name for effect in effects if effect.primary]
    assert primary == ["B0-shared − B0", "S-P1c − W-bn-c", "M-P1c − M-bn-c", "M-P0 − B0"]
    assert effects[: len(primary)] == [e for e in effects if e.primary]
    assert len({e.name for e in effects}) == len(effects) > 8


def test_measure_pairs_the_seeds_that_both_have():
    records = [make("B0", s, accuracy=0.2 + 0.01 * s) for s in range(4)]
    records += [make("S-P1", s, accuracy=0.1 + 0.02 * s) for s in range(3)]
    effects = (Effect("S-P1", "B0", "split"), Effect("GN", "B0", "gn"))
    first, second = measure(records, effects=effects)
    assert first.contrast.seeds == (0, 1, 2)
    assert first.contrast.deltas == pytest.approx((-0.1, -0.09, -0.08))
    assert second.contrast is None
    assert "GN" in second.reason


def test_seeds_for_agrees_with_statsmodels():
    from statsmodels.stats.power import TTestPower

    rng = np.random.default_rng(0)
    for shift in (0.3, 0.6, 1.5):
        deltas = rng.normal(size=12)
        deltas = list((deltas - deltas.mean()) / deltas.std(ddof=1) + shift)
        exact = TTestPower().solve_power(effect_size=shift, alpha=0.05, power=0.8)
        assert seeds_for(deltas) == int(np.ceil(exact))


@pytest.mark.parametrize(
    ("effect", "seeds"), [(3, 4), (5, 3), (7, 3), (8, 3), (11, 3), (12, 2), (1e6, 2), (1e15, 2)]
)
def test_seeds_for_an_effect_that_few_seeds_show(effect, seeds):
    # By a numerical integral: two pairs show effect 11 with chance 0.778, and effect 12 with 0.817.
    assert seeds_for([effect - 0.5**0.5, effect + 0.5**0.5]) == seeds


def test_seeds_for_at_its_limits():
    assert seeds_for([0.1, 0.1]) == 2
    assert seeds_for([0.0, 0.0]) is None
    assert seeds_for([1.0, -1.0]) is None
    assert seeds_for([0.1, 0.3], bound=0.2) is None
    with pytest.raises(InputError, match="two differences"):
        seeds_for([0.1])
