"""The embedding explorer: what is packed, what is refused, and that it lives in a browser."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from headless import opened
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from recorded import Held, held
from scripts import state

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.metrics import METRICS
from contrastive_tutorial.widgets import subsets
from contrastive_tutorial.widgets.explorer import EmbeddingExplorer

CELLS = ("B0", "S-P1", "M-P1")


def run(cell="B0", num_subsets=10, seed=0, content=None, **changes):
    given = {"metrics": {"cluster_accuracy": 0.25, "knn200": 0.5}, "data": "cifar10", **changes}
    return held(content or {}, cell, seed, num_subsets, **given)


def arrays(n=40, k=10, seed=0, cell=0, **more):
    rng = np.random.default_rng([seed, k, cell])
    return {
        "labels": np.random.default_rng(seed).integers(0, 10, n),
        "subsets": np.random.default_rng(k).integers(0, k, n),
        "embedding": rng.normal(size=(n, 2)),
        "embedding_subset": rng.normal(size=(n, 2)) + 0.5,
        **more,
    }


def study(
    cells=CELLS, ks=(1, 5, 10), seeds=(0, 1, 2), n=40, shown=(0,), more=None, scores=None, **changes
):
    """Runs of cells, the baseline at one K alone; ``shown`` are the seeds with arrays."""
    return [
        run(
            cell, k, seed, arrays(n, k, seed, number, **(more or {})) if seed in shown else None,
            **{"metrics": {"cluster_accuracy": 0.2 + 0.01 * seed, "knn200": 0.5} | (scores or {}),
               **changes},
        )
        for number, cell in enumerate(cells)
        for k in (ks if cell != "B0" else ks[-1:])
        for seed in seeds
    ]  # fmt: skip


def unpack(data, index):
    return np.frombuffer(base64.b64decode(data["pool"][index]), np.uint8)


def points(data, index):
    a, b, c = unpack(data, index).reshape(-1, 3).astype(int).T
    return np.stack([a | ((b & 15) << 8), (b >> 4) | (c << 4)], axis=1) / 4095


# ---- what is packed ------------------------------------------------------------------------------


def test_coordinates_survive_within_a_4096th_in_one_frame():
    records = study()
    data = state(EmbeddingExplorer(records))["data"]
    everything = np.concatenate(
        [
            r.content[name]
            for r in records
            for name in ("embedding", "embedding_subset")
            if r.content
        ]
    )
    low, high = everything.min(0), everything.max(0)
    span = (high - low).max()
    corner = (low + high) / 2 - span / 2
    for record in records:
        if record.content:
            run = data["runs"][f"{record.cell}|{record.num_subsets}|{record.seed}"]
            for packed, name in (("clean", "embedding"), ("own", "embedding_subset")):
                expected = (record.content[name] - corner) / span
                assert np.abs(points(data, run[packed]) - expected).max() <= 0.5 / 4095 + 1e-9
            assert unpack(data, run["subsets"]).tolist() == record.content["subsets"].tolist()
    assert unpack(data, data["labels"]["0"]).tolist() == records[0].content["labels"].tolist()
    assert data["ks"] == [1, 5, 10]


def test_equal_arrays_are_kept_once():
    data = state(EmbeddingExplorer(study()))["data"]
    # Seven runs with two pictures each (the baseline has one K); labels are shared by all runs,
    # subset ids by all runs of one K.
    assert len(data["pool"]) == len(set(data["pool"])) == 2 * 7 + 1 + 3


def test_metrics_are_means_over_all_records_with_t_intervals():
    explorer = EmbeddingExplorer(study())
    mean, low, high, n = state(explorer)["data"]["values"]["S-P1|10"]["cluster_accuracy"]
    assert (mean, n) == (0.21, 3)
    # t(0.975, 2) = 4.302653, s = 0.01, n = 3
    assert high - mean == pytest.approx(4.302653 * 0.01 / 3**0.5, abs=1e-6)
    assert mean - low == pytest.approx(high - mean, abs=1e-6)
    single = state(EmbeddingExplorer(study(seeds=(0,))))["data"]["values"]["S-P1|10"]
    assert single["cluster_accuracy"] == [0.2, None, None, 1]
    assert "Split 0.210 ± 0.025 (n=3)" in explorer.summary


def test_the_baseline_is_shown_at_every_k_and_says_so():
    data = state(EmbeddingExplorer(study()))["data"]
    assert data["runs"]["B0|1|0"]["k"] == 10
    assert data["runs"]["B0|1|0"]["clean"] == data["runs"]["B0|10|0"]["clean"]
    # Which subset an image belongs to does depend on K, not on the experiment.
    assert data["runs"]["B0|1|0"]["subsets"] == data["runs"]["S-P1|1|0"]["subsets"]
    assert data["values"]["B0|1"] == data["values"]["B0|10"]


def test_a_k_that_was_not_recorded_stays_a_gap():
    records = [r for r in study() if not (r.cell == "M-P1" and r.num_subsets == 5)]
    data = state(EmbeddingExplorer(records))["data"]
    assert "M-P1|5|0" not in data["runs"]
    assert "S-P1|5|0" in data["runs"]


def test_every_seed_that_fits_is_offered_and_the_rest_counts_in_the_metrics(monkeypatch):
    records = study(n=500, shown=(0, 1, 2))
    assert EmbeddingExplorer(records).seeds == [0, 1, 2]
    one = EmbeddingExplorer(records, seeds=[1])
    assert one.seeds == [1]
    budget = len(EmbeddingExplorer(records, seeds=[0, 1]).html) + 500
    monkeypatch.setattr("contrastive_tutorial.widgets.explorer.MAX_BYTES", budget)
    some = EmbeddingExplorer(records)
    assert some.seeds == [0, 1]
    assert len(some.html) <= budget
    assert "Embeddings: seed 0, 1; metrics: up to 3 seeds." in some.summary
    monkeypatch.setattr("contrastive_tutorial.widgets.explorer.MAX_BYTES", 50_000)
    with pytest.raises(InputError, match=r"needs .* pass fewer seeds or cells"):
        EmbeddingExplorer(records)


def test_factors_are_categories_or_ranges():
    more = {
        "factor_colour": np.arange(40) % 3 * 2,
        "factor_x": np.linspace(4, 28, 40).astype(np.float32),
        "factor_same": np.full(40, 0.5),
    }
    factors = (data := state(EmbeddingExplorer([run(content=arrays(**more))]))["data"])["factors"]
    assert factors["colour"]["names"] == ["0", "2", "4"]
    assert unpack(data, factors["colour"]["values"]["0"]).tolist() == [i % 3 for i in range(40)]
    assert (factors["x"]["low"], factors["x"]["high"]) == (4, 28)
    assert unpack(data, factors["x"]["values"]["0"])[[0, -1]].tolist() == [0, 255]
    assert set(unpack(data, factors["same"]["values"]["0"])) == {0}


def test_which_cells_are_shown():
    records = study(cells=(*CELLS, "M-bn", "GN"))
    assert EmbeddingExplorer(records).cells == list(CELLS)
    more = EmbeddingExplorer(records, cells=["M-bn", "B0", "GN", "S-P1"])
    assert state(more)["data"]["shown"] == ["M-bn", "B0", "GN", "S-P1"]
    five = EmbeddingExplorer(records, cells=["M-bn", "B0", "GN", "S-P1", "M-P1"])
    assert state(five)["data"]["shown"] == ["M-bn", "B0", "GN", "S-P1"]
    assert EmbeddingExplorer(study(cells=("GN", "M-bn"))).cells == ["GN", "M-bn"]


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({}, ("airplane", "automobile")),
        ({"data": "shapes"}, ("circle", "ring")),
        ({"data": "cifar100"}, ("class 0", "class 1")),
        ({"data": "mine", "class_names": [f"own {i}" for i in range(12)]}, ("own 0", "own 1")),
    ],
)
def test_class_names(changes, names):
    found = EmbeddingExplorer(study(**changes)).class_names
    assert (found[:2], len(found)) == (names, 12 if "class_names" in changes else 10)


def test_it_opens_on_subsets_where_runs_kept_them_and_on_two_classes_when_asked():
    explorer = EmbeddingExplorer(study(), classes=(0, 6))
    opened_on = state(explorer)
    assert (opened_on["k"], opened_on["images"], opened_on["data"]["colour"]) == (
        10,
        "own",
        "subset",
    )
    assert opened_on["data"]["classes"] == [0, 6]
    records = study()
    for record in records:
        record.content.pop("embedding_subset", None)
    plain = state(EmbeddingExplorer(records))
    assert (plain["images"], plain["data"]["colour"]) == ("clean", "class")


def test_subsets_carry_the_names_of_their_policies_where_all_panels_agree():
    data = state(EmbeddingExplorer(study(ks=(10, 20))))["data"]
    assert data["subsets"][2::10] == ["2 grayscale", "12 grayscale"]
    assert len(data["subsets"]) == 20
    assert (data["pictured"], data["thumbs"]["count"]) == ("policy", 10)
    for cells in (("S-P1", "S-P1c"), ("B0",), ("mine",)):  # two tables, one policy, nobody knows
        data = state(EmbeddingExplorer(study(cells=cells), cells=cells))["data"]
        assert data["subsets"][2] == "subset 2"
        assert "thumbs" not in data
    one = [record for record in study(cells=("S-P1",)) if record.content]
    del one[0].content["subsets"], one[1].content["subsets"], one[2].content["subsets"]
    assert state(EmbeddingExplorer(one))["data"]["subsets"] == []


def test_a_policy_is_pictured_as_it_treats_an_image():
    thumbs = subsets.pictures(subsets.table_of(["S-P1"]))
    atlas = Image.open(io.BytesIO(base64.b64decode(thumbs["source"].split(",")[1])))
    weak, _, gray, dark, *_ = np.split(np.asarray(atlas.convert("RGB")).astype(int), 10, axis=1)
    assert np.ptp(gray, axis=2).mean() < 4 < np.ptp(weak, axis=2).mean()
    assert dark.mean() < weak.mean() - 40


@pytest.mark.parametrize(
    ("cell", "definition", "words"),
    [
        ("B0", 1, "each image with the one policy of this experiment"),
        ("B0", 2, "each image with its subset's policy"),
        ("M-P1", 1, "each image with its subset's policy, through its subset's branch"),
        ("M-bn", 2, "each image with its subset's policy"),
    ],
)
def test_every_panel_says_what_its_images_were_given(cell, definition, words):
    records = study(cells=(cell,), hyperparameters={"definition": definition})
    (shown,) = state(EmbeddingExplorer(records, cells=[cell]))["data"]["cells"]
    assert shown["own"] == words


def test_untrained_networks_are_a_mark_and_no_panel():
    floor = [
        run("untrained", k, seed, metrics={"knn200": 0.3 + 0.1 * seed})
        for k in (1, 10)
        for seed in (0, 1)
    ]
    explorer = EmbeddingExplorer([*study(), *floor], metrics=("cluster_accuracy", "knn200"))
    assert explorer.cells == list(CELLS)
    marks = [m["untrained"] for m in state(explorer)["data"]["metrics"]]
    assert marks == [None, pytest.approx(0.35)]


def test_own_neighbours_are_counted_where_features_were_kept():
    marked, dealt = np.repeat(np.eye(4), 30, axis=0), np.repeat(np.arange(4), 30)
    assert subsets.own_share({"features_subset": marked, "subsets": dealt}) == 1
    for poor in (
        {},
        {"features_subset": marked},
        {"features_subset": marked[:5], "subsets": dealt[:5]},
    ):
        assert subsets.own_share(poor) is None


def test_only_metrics_with_a_range_get_a_bar():
    records = study(scores={"rankme": 37.8, "ari": 0.1, "policy_probe_z": 0.5})
    shown = ("cluster_accuracy", "rankme", "ari", "policy_probe_z", "mine")
    found = {
        m["name"]: m for m in state(EmbeddingExplorer(records, metrics=shown))["data"]["metrics"]
    }
    assert [m["label"] for m in found.values()] == [
        *(METRICS[name].short for name in shown[:-1]), "mine",
    ]  # fmt: skip
    assert found["rankme"]["range"] is None
    assert found["rankme"]["digits"] == 1
    assert found["cluster_accuracy"]["range"] == [0, 1]
    assert found["cluster_accuracy"]["chance"] == found["policy_probe_z"]["chance"] == 0.1
    assert found["ari"]["chance"] == 0
    assert (found["mine"]["range"], found["mine"]["chance"]) == (None, None)


def test_thumbnails_come_in_the_order_of_the_points():
    images = np.zeros((40, 3, 16, 16), np.uint8)
    images[7, 0] = 255
    explorer = EmbeddingExplorer(study(), images=images)
    thumbs = state(explorer)["data"]["thumbs"]
    atlas = Image.open(io.BytesIO(base64.b64decode(thumbs["source"].split(",")[1])))
    assert atlas.size == (40 * 32, 32)
    red = np.asarray(atlas)[16, [7 * 32 + 16, 8 * 32 + 16], 0]
    assert red[0] > 200
    assert red[1] < 50
    assert state(explorer)["data"]["pictured"] == "image"
    with pytest.raises(InputError, match=r"images: expected uint8 of shape \(40, 3, H, W\)"):
        EmbeddingExplorer(study(), images=images[:3])


def test_where_html_is_not_shown_a_picture_is():
    picture = Image.open(io.BytesIO(EmbeddingExplorer(study()).png))
    assert picture.size[0] > picture.size[1] > 200
    assert np.asarray(picture.convert("RGBA"))[..., 3].max() == 255


# ---- what is refused -----------------------------------------------------------------------------


def broken(**content):
    return [run(content={k: v for k, v in {**arrays(), **content}.items() if v is not None})]


NAN = arrays()["embedding"].copy()
NAN[3] = np.nan


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([], "records: expected at least one"),
        ([run()], "records: none has an embedding; .*contrastive-tutorial embed"),
        (broken(embedding=None), "records: none has an embedding"),
        (broken(labels=None), "B0 at K = 10, seed 0: array 'labels' is missing"),
        (broken(labels=np.arange(40)), "labels: 10 class names allow 0 to 9, got 0 to 39"),
        (broken(labels=np.arange(40) - 1), "labels: 10 class names allow 0 to 9, got -1 to 38"),
        ([run(class_names=["a", "b"], content=arrays())], "labels: 2 class names allow 0 to 1"),
        (broken(labels=np.zeros(40)), "labels: expected whole numbers of shape"),
        (broken(labels=np.zeros((40, 1), int)), "labels: expected whole numbers of shape"),
        (broken(labels=np.zeros(0, int)), "labels: expected whole numbers .* n >= 1"),
        (broken(subsets=np.full(40, 10)), "subsets: 10 subsets allow 0 to 9, got 10 to 10"),
        (broken(subsets=np.zeros(3, int)), "subsets: expected 40 values"),
        (broken(embedding=NAN), "embedding: 1 of 40 points are NaN or infinite"),
        (broken(embedding_subset=NAN), "embedding_subset: 1 of 40 points are NaN"),
        (broken(embedding=np.zeros((40, 3))), r"embedding: expected numbers of shape \(40, 2\)"),
        (broken(embedding=np.full((40, 2), "a")), "embedding: expected numbers of shape"),
        (broken(factor_x=np.full(40, np.inf)), "factor_x: expected 40 finite numbers"),
        (broken(factor_x=np.full(40, "red")), "factor_x: expected 40 finite numbers"),
        (broken(labels=np.full(40, 256)), "labels: at most 256 of them can be shown"),
        (
            [run(num_subsets=300, content=arrays(subsets=np.arange(40) + 230))],
            "subsets: at most 256 of them can be shown",
        ),
        (study() + study(), "two records of B0 at K = 10, seed 0"),
        ([run(preset="gpu"), *study()], "expected one data set and preset.*select one"),
        (
            [run(seed=7, hyperparameters={"definition": 2}), *study()],
            "one explorer mix definition: 1, 2",
        ),
        ([run(seed=7, data_hash="b"), *study()], "one explorer mix data_hash: 0+, b"),
        ([run(seed=7, evaluation="pooled"), *study()], "B0 mix evaluation statistics"),
        (
            [run(content=arrays()), run("S-P1", content=arrays(seed=1))],
            "S-P1 at K = 10, seed 0 and B0 at K = 10, seed 0 show different test images",
        ),
    ],
)
def test_bad_records_are_named(records, message):
    with pytest.raises(InputError, match=message):
        EmbeddingExplorer(records)


def test_damaged_files_keep_their_own_message():
    class Damaged(Held):
        def arrays(self):
            raise InputError("results/B0-K10-s0.npz: damaged arrays")

    with pytest.raises(InputError, match=r"B0-K10-s0\.npz: damaged arrays"):
        EmbeddingExplorer([held(arrays(), kind=Damaged)])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cells": ["GN"]}, r"cells: embeddings are recorded for \['B0', 'S-P1', 'M-P1'\]"),
        ({"cells": []}, "cells: embeddings are recorded"),
        ({"seeds": [7]}, r"seeds: embeddings are recorded for \[0\], got \[7\]"),
        ({"classes": [6, 10]}, r"classes: expected labels from 0 to 9, got \[6, 10\]"),
        ({"classes": ["frog"]}, "classes: expected labels from 0 to 9"),
    ],
)
def test_bad_choices_are_named(options, message):
    with pytest.raises(InputError, match=message):
        EmbeddingExplorer(study(), **options)


HOSTILE = [
    "</script><script>alert(1)</script>", "<!--", "\"'`", "🐸", "שלום", "&lt;b&gt;", "$x^$",
    "_hidden",
]  # fmt: skip


def test_hostile_class_names_are_drawn_as_text():
    names = [*HOSTILE, "", "i"]
    explorer = EmbeddingExplorer(study(class_names=names))
    assert explorer.html.count("</script>") == 2
    assert state(explorer)["data"]["names"] == names
    assert explorer.png.startswith(b"\x89PNG")


@settings(max_examples=40, deadline=None)
@given(
    names=st.lists(st.text(max_size=8) | st.sampled_from(HOSTILE), min_size=1, max_size=12),
    labels=st.lists(st.integers(-1, 12), max_size=6),
    number=st.floats() | st.integers(-5, 5),
    cell=st.text(max_size=6) | st.sampled_from(HOSTILE),
    k=st.integers(1, 30),
)
def test_anything_is_shown_safely_or_refused_clearly(names, labels, number, cell, k):
    n = len(labels)
    content = {
        "labels": np.array(labels, dtype=int),
        "embedding": np.full((n, 2), number, dtype=float),
    }
    try:
        explorer = EmbeddingExplorer([run(cell, k, content=content, class_names=names)])
    except InputError:
        return
    assert explorer.html.count("</script>") == 2
    assert state(explorer)["data"]["count"] == n
    assert f"{cell}|{k}" in state(explorer)["data"]["values"]


# ---- alive ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    names = ["</script>", *(f"class {letter}" for letter in "bcdefghij")]
    more = {"factor_x": np.linspace(0, 1, 300)}
    records = study(n=300, shown=(0, 1), more=more, class_names=names)
    for record in records:
        record.metrics["cluster_accuracy"] += record.num_subsets / 100
    explorer = EmbeddingExplorer(records, images=np.zeros((300, 3, 32, 32), np.uint8))
    return explorer.save_html(tmp_path_factory.mktemp("explorer") / "three.html")


def spoken(tab, words):
    tab.locator("[role=status]", has_text=words).wait_for(state="attached", timeout=5000)


STILL = """async (nodes) => {
  const read = () => nodes.map((node) => node.toDataURL());
  const later = (frames) => new Promise((done) => {
    const count = () => (frames-- > 0 ? requestAnimationFrame(count) : done());
    count();
  });
  let before, now;
  do {
    before = String(now);
    await later(5);
    now = read();
  } while (String(now) !== before);
  return now;
}"""


def still(tab):
    """Pixels of the panels once the dots have stopped moving."""
    return tab.locator(".stage > canvas").evaluate_all(STILL)


def labels_of(tab):
    return [node.get_attribute("aria-label") for node in tab.locator(".stage > canvas").all()]


@pytest.mark.browser
def test_the_mouse_moves_everything(page):
    with opened(page, color_scheme="dark", viewport={"width": 1100, "height": 900}) as tab:
        first, words = still(tab), labels_of(tab)
        assert len(set(first)) == 3
        assert "Split, K = 10: 300 augmented test images as dots, coloured by subset." in words[1]
        tab.get_by_label("Colour by").select_option("class")
        tab.get_by_role("radio", name="clean").check()
        first, words = still(tab), labels_of(tab)
        assert "Split, K = 10: 300 clean test images as dots, coloured by class." in words[1]
        assert "cluster acc. 0.310 ± " in words[1]
        tab.locator("#k").fill("0")
        spoken(tab, "K = 1. Baseline: cluster acc. 0.310")
        moved = still(tab)
        assert moved[0] == first[0]  # the baseline has no subsets
        assert moved[1] != first[1]
        assert labels_of(tab)[1].startswith("Split, K = 1:")
        assert "K changes nothing in this experiment" in tab.locator(".panel").first.inner_text()
        tab.get_by_role("radio", name="with their subset's policy").check()
        spoken(tab, "Images with their subset's policy.")
        assert still(tab)[1] != moved[1]
        tab.get_by_label("Seed").select_option("1")
        spoken(tab, "seed 1")
        tab.get_by_role("button", name="</script>", exact=True).click()
        spoken(tab, "Showing only </script>.")
        assert "highlighted (</script>)" in labels_of(tab)[2]
        tab.get_by_role("button", name="Show all", exact=True).click()
        spoken(tab, "Showing all.")
        tab.get_by_label("Colour by").select_option("x")
        assert tab.get_by_role("img", name="colour scale from 0.00 to 1.00").count() == 1
        tab.get_by_text("All numbers as a table").click()
        assert tab.locator("tbody tr").count() == 7
        assert tab.locator("tbody tr.now").count() == 2


@pytest.mark.browser
def test_pointing_is_linked_and_the_wheel_waits_for_a_click(page):
    with opened(page, viewport={"width": 1100, "height": 900}) as tab:
        before = still(tab)
        canvas = tab.locator(".stage > canvas").nth(1)
        box = canvas.bounding_box()
        middle = {"x": box["width"] / 2, "y": box["height"] / 2}
        canvas.hover(position=middle)
        tab.locator(".readout", has_text="Test image").wait_for()
        hovered = still(tab)
        assert all(a != b for a, b in zip(hovered, before, strict=True))
        tab.mouse.wheel(0, -300)
        assert still(tab) == hovered  # the page scrolls, the panel does not zoom
        canvas.click(position=middle)
        tab.mouse.wheel(0, -300)
        tab.mouse.move(5, 5)
        zoomed = still(tab)
        assert all(a != b for a, b in zip(zoomed, hovered, strict=True))  # all panels zoom
        x, y = box["x"] + middle["x"], box["y"] + middle["y"]
        tab.mouse.move(5, 5)
        tab.mouse.move(x, y)
        tab.mouse.wheel(0, -300)  # the pointer left since the click: the page scrolls again
        tab.mouse.move(5, 5)
        assert still(tab) == zoomed
        tab.mouse.move(x, y)
        tab.mouse.down()
        tab.mouse.move(x + 40, y + 30, steps=4)
        tab.mouse.up()
        assert still(tab)[1] != zoomed[1]
        tab.get_by_role("button", name="Show the whole picture").click()
        tab.mouse.move(5, 5)
        canvas.click(position={"x": 2, "y": 2})  # a click beside every dot lets go
        tab.mouse.move(5, 5)
        assert still(tab) == before


@pytest.mark.browser
def test_panels_stay_where_they_are_and_a_name_shows_its_subset_alone(page):
    with opened(page, viewport={"width": 1100, "height": 900}) as tab:
        stages = tab.locator(".stage")
        before, everything = stages.nth(1).bounding_box(), still(tab)
        for place in ("0", "1", "2"):
            tab.locator("#k").fill(place)
            assert stages.nth(1).bounding_box() == before
        assert stages.locator("button").count() == 0  # nothing covers the dots
        name = tab.get_by_role("button", name="2 grayscale")
        name.hover()
        tab.locator(".readout", has_text="Only 2 grayscale in colour").wait_for()
        alone = still(tab)
        assert all(a != b for a, b in zip(alone, everything, strict=True))
        name.click()
        tab.mouse.move(5, 5)
        assert still(tab) == alone
        spoken(tab, "Showing only 2 grayscale.")
        tab.locator("#k").fill("0")  # one subset: the other names wait, and keep their room
        assert not name.is_visible()
        assert stages.nth(1).bounding_box() == before
        tab.set_viewport_size({"width": 1280, "height": 900})
        assert stages.first.bounding_box()["width"] >= 300


@pytest.mark.browser
def test_four_panels_stand_two_and_two_with_their_numbers_beside(tmp_path):
    floor = run("untrained", metrics={"cluster_accuracy": 0.15, "rankme": 37.8})
    records = [*study(cells=(*CELLS, "M-P0"), scores={"rankme": 37.8}), floor]
    explorer = EmbeddingExplorer(
        records, cells=[*CELLS, "M-P0"], classes=(0, 6), metrics=("cluster_accuracy", "rankme")
    )
    with opened(explorer.save_html(tmp_path / "four.html")) as tab:
        for width in (960, 390):
            tab.set_viewport_size({"width": width, "height": 900})
            boxes = [stage.bounding_box() for stage in tab.locator(".stage").all()]
            assert len(boxes) == 4
            assert boxes[0]["y"] == boxes[1]["y"] < boxes[2]["y"] == boxes[3]["y"]
            assert all(box["width"] == box["height"] for box in boxes)
            assert boxes[0]["width"] >= (300 if width > 900 else 140)
            assert tab.locator(".floor").first.evaluate("node => node.style.left") == "15%"
            assert tab.locator(".chance").first.evaluate("node => node.style.left") == "10%"
            first = tab.locator(".panel").first
            assert first.locator(".metric").count() == 2
            assert first.locator(".bar").count() == 1  # RankMe has no ends to draw it between
            assert "37.8" in first.inner_text()
            tab.get_by_label("Colour by").select_option("class")
            assert tab.locator(".chip[aria-pressed=true]").all_inner_texts() == ["airplane", "frog"]


@pytest.mark.browser
def test_the_keyboard_reaches_everything(page):
    with opened(page, reduced_motion="reduce", viewport={"width": 1100, "height": 900}) as tab:
        before = still(tab)
        reached = []
        for _ in range(40):
            tab.keyboard.press("Tab")
            reached.append(
                tab.evaluate(
                    "(() => { const node = document.activeElement.shadowRoot?.activeElement;"
                    " return node ? node.id || node.className || node.tagName : '' })()"
                )
            )
        for stop in ("k", "seed", "colour", "chip", "stage", "SUMMARY"):
            assert stop in reached
        tab.locator("#k").focus()
        tab.keyboard.press("ArrowLeft")
        spoken(tab, "K = 5.")
        # Without motion the dots are in place at the next frame.
        tab.evaluate("new Promise(requestAnimationFrame)")
        script = "nodes => nodes.map(node => node.toDataURL())"
        assert tab.locator(".stage > canvas").evaluate_all(script)[1] != before[1]
        stage = tab.locator(".stage").nth(2)
        stage.focus()
        tab.keyboard.press("ArrowRight")
        spoken(tab, "Test image 0")
        tab.keyboard.press("ArrowRight")
        spoken(tab, "Test image 1")
        selected = still(tab)
        tab.keyboard.press("+")
        zoomed = still(tab)
        assert all(a != b for a, b in zip(zoomed, selected, strict=True))
        tab.keyboard.press("Shift+ArrowRight")
        assert still(tab)[2] != zoomed[2]
        tab.keyboard.press("0")
        assert still(tab) == selected
        tab.keyboard.press("Escape")
        tab.locator(".readout", has_text="Point at a dot").wait_for()


@pytest.mark.browser
def test_a_missing_run_is_said_in_its_panel(tmp_path):
    records = [r for r in study() if not (r.cell == "M-P1" and r.num_subsets == 5)]
    file = EmbeddingExplorer(records).save_html(tmp_path / "gap.html")
    with opened(file, viewport={"width": 1100, "height": 900}) as tab:
        full = still(tab)
        tab.locator("#k").fill("1")
        spoken(tab, "Mixed (M-P1) was not recorded at K = 5.")
        assert still(tab)[2] != full[2]
        assert labels_of(tab)[2] == "Mixed (M-P1) was not recorded at K = 5."
        tab.locator("#k").fill("2")
        spoken(tab, "K = 10.")
        assert still(tab)[2] == full[2]
