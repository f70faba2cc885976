"""cells: the registry holds what the design names, and headline statistics are fixed."""

from pathlib import Path

import pytest
import yaml

from contrastive_tutorial import verdicts
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.study import cells

PRIMARY = {"B0", "B1", "B2", "S-P1", "S-P0", "M-P1", "M-P0", "W-bn", "M-bn"}
CONTROLS = {"M-split", "M-aff", "X-bn", "GN", "GN-P1"}


def test_every_cell_of_the_design_is_registered():
    assert set(cells.CELLS) >= PRIMARY | CONTROLS
    assert all(name == cell.name for name, cell in cells.CELLS.items())
    assert set(cells.THREE) == {"B0", "S-P1", "M-P1"}


def test_pairs_that_isolate_one_cause_differ_in_one_factor():
    def factors(name):
        cell = cells.cell(name)
        return {
            "policy": cell.policy,
            "negatives": cell.negatives,
            "norm": cell.norm,
            "balanced": cell.balanced,
        }

    for a, b, factor in [
        ("S-P1", "W-bn", "norm"),
        ("S-P1", "S-P0", "policy"),
        ("M-P1", "M-split", "norm"),
        ("M-P1", "M-bn", "norm"),
        ("M-bn", "W-bn", "negatives"),
        ("B0", "B2", "policy"),
        ("B0", "GN", "norm"),
        ("X-bn", "B2", "policy"),
    ]:
        differing = {k for k in factors(a) if factors(a)[k] != factors(b)[k]}
        assert differing == {factor}, (a, b)


def test_headline_statistics_match_the_registered_hypotheses():
    registered = yaml.safe_load(Path(verdicts.__file__).with_name("hypotheses.yml").read_text())
    for group in registered["headline_evaluation"].values():
        if not isinstance(group, dict):
            continue
        for name in group["cells"]:
            cell = cells.CELLS.get(name)
            if cell is None or cell.reference in ("raw-pixels", "pca"):
                continue
            assert cell.headline_statistics == group["how"], name


def test_unknown_names_list_the_known_ones():
    with pytest.raises(InputError, match=r"unknown cell 'B9'.*B0.*S-P1"):
        cells.cell("B9")
    with pytest.raises(InputError, match=r"unknown preset 'huge'.*cpu"):
        cells.preset("huge")
    with pytest.raises(InputError, match="policy"):
        cells.Cell("x", "P9", "cross", "bn", "")
    with pytest.raises(InputError, match="negatives"):
        cells.Cell("x", "P0", "some", "bn", "")
