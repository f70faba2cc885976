"""evaluation: what it could not score is refused before any training."""

import dataclasses

import pytest
from tiny import files_in, run

from contrastive_tutorial import data
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.study.cells import CELLS, PRESETS
from contrastive_tutorial.study.scoring import require_scorable

LIVE = PRESETS["live"]


@pytest.fixture(scope="module")
def sets():
    sizes = {"train": 300, "val": 30, "test": 40}
    return {split: data.load("shapes", split, num_images=n) for split, n in sizes.items()}


def test_enough_is_enough(sets):
    for name in ("B0", "S-P1", "pca"):
        require_scorable(CELLS[name], LIVE, **sets)
    require_scorable(
        CELLS["B0"], LIVE, sets["train"].subset(range(20)), sets["val"].subset([0, 1]),
        sets["test"].subset([0, 1]),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("split", "keep", "changes", "message"),
    [
        ("train", 9, {}, "train: 9 images, but 10 neighbours"),
        ("train", 300, {"bank": 5}, "bank: 5 images, but 10 neighbours"),
        ("train", 300, {"menu_bank": 15}, "menu_bank: 15 images, but 20 clusters"),
        ("val", 1, {}, "val: expected at least 2 images, got 1"),
        ("test", 1, {}, "test: expected at least 2 images, got 1"),
        ("train", 300, {"kmeans_restarts": 0}, "kmeans_restarts: expected at least 1, got 0"),
    ],
)
def test_too_little_to_score(sets, split, keep, changes, message):
    some = sets | {split: sets[split].subset(range(keep))}
    with pytest.raises(InputError, match=message):
        require_scorable(CELLS["B0"], dataclasses.replace(LIVE, **changes), **some)


def test_more_classes_than_images_to_cluster(sets):
    many = dataclasses.replace(sets["train"], class_names=tuple(map(str, range(120))))
    require_scorable(CELLS["B2"], LIVE, **(sets | {"train": many.subset(range(200))}))
    with pytest.raises(InputError, match="200 images, but 240 clusters"):
        require_scorable(CELLS["B0"], LIVE, **(sets | {"train": many.subset(range(200))}))


def test_a_run_that_could_not_be_scored_does_not_start(sets, tmp_path):
    few = (sets["train"].subset(range(15)), sets["val"], sets["test"])
    preset = "live+batch_size=10+steps=1000000"  # would take hours
    with pytest.raises(InputError, match="train: 15 images, but 20 clusters"):
        run("B0", few, preset, 0, 10, tmp_path)
    assert not files_in(tmp_path)
