"""norm_figures: paired by seed, never mixed, and every series drawn with its n."""

import dataclasses

import pytest
from pages import ROOT
from recorded import make_record
from scipy import stats

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.records import load_records
from contrastive_tutorial.report import norm_figures
from contrastive_tutorial.report.norm_figures import Difference
from contrastive_tutorial.study.norms import CONDITIONS, NORMS, NUM_SUBSETS, Setting


def made(norm, condition, batch_size, seed, accuracy, oracle=None, **changes):
    """A record as norm_study leaves it, with this test accuracy."""
    setting = Setting(norm, condition, batch_size, seed)
    evaluations = {} if oracle is None else {"oracle": {"test_accuracy": oracle}}
    return make_record(
        setting.cell,
        seed,
        {"test_accuracy": accuracy},
        **{
            "preset": "norm",
            "num_subsets": NUM_SUBSETS,
            "evaluation": setting.evaluation,
            "evaluations": evaluations,
            "hyperparameters": {"norm": norm, "condition": condition, "batch_size": batch_size},
            **changes,
        },
    )


@pytest.fixture
def found():
    return [
        made(norm, condition, size, seed, base + 0.01 * seed, oracle=0.6 + 0.02 * seed)
        for norm, base in (("bn", 0.4), ("renorm", 0.45), ("split", 0.3))
        for condition in ("exchangeable", "shifted")
        for size in (4, 32)
        for seed in (2, 0, 1)
    ]


@pytest.mark.parametrize(("sign", "verdict"), [(1, "higher"), (-1, "lower")])
def test_a_verdict_takes_interval_and_seeds_enough(sign, verdict):
    deltas = [sign * (0.05 + 0.001 * seed) for seed in range(6)]
    assert Difference.of(deltas).verdict == verdict
    assert Difference.of(deltas[:5]).verdict == "hint"  # p cannot fall below 1/16
    assert Difference.of([-1.0, 1.0] * 3).verdict == "undecided"


def test_what_a_script_left_behind_is_found_from_below(tmp_path, monkeypatch):
    folder = tmp_path / "benchmarks" / "claims"
    folder.mkdir(parents=True)
    (folder / "one.json").write_text('{"runs": [1]}')
    (tmp_path / "book").mkdir()
    monkeypatch.chdir(tmp_path / "book")
    assert norm_figures.claimed("one") == {"runs": [1]}
    with pytest.raises(InputError, match=r"two\.json"):
        norm_figures.claimed("two")


def test_the_interval_is_student_s_and_a_known_subset_uses_the_oracle_of_split_alone(found):
    deltas = (0.2, 0.21, 0.22)
    low, high = stats.t.interval(0.95, 2, loc=0.21, scale=stats.sem(deltas))
    interval = Difference.of(deltas).interval
    assert (interval.low, interval.high) == pytest.approx((low, high))
    first = norm_figures.select(found, "split", "shifted", 32)[0]
    assert (first.seed, norm_figures.accuracy(first, known=True)) == (0, 0.6)
    bare = made("bn", "shifted", 32, 0, 0.5)
    assert norm_figures.accuracy(bare, known=True) == norm_figures.accuracy(bare) == 0.5


def test_the_figure_shows_every_series_and_n_and_no_record_of_another_study(found):
    fig = norm_figures.comparison([*found, make_record("B0", 0, {"knn10": 0.3})])
    texts = [t.get_text() for legend in fig.legends for t in legend.get_texts()]
    assert texts == [label for label, _, _ in norm_figures.SERIES]
    assert fig.get_suptitle().endswith("n = 3 seeds; dots: seeds; bars: 95% interval")
    assert [t.get_text() for t in fig.axes[0].get_xticklabels()] == ["4", "32"]
    fig = norm_figures.comparison([r for r in found if r.seed == 0], chance=0.1)
    assert fig.get_suptitle().endswith("n = 1 seed")  # and no bars
    assert "chance" in [t.get_text() for legend in fig.legends for t in legend.get_texts()]


def test_a_seed_twice_is_refused(found):
    with pytest.raises(InputError, match="two records of one seed"):
        norm_figures.comparison([*found, made("bn", "shifted", 4, 0, 0.1)])


def test_nothing_to_draw_says_what_to_run(found):
    with pytest.raises(InputError, match="contrastive-tutorial norms"):
        norm_figures.comparison([])
    with pytest.raises(InputError, match="none says its norm"):
        norm_figures.comparison([dataclasses.replace(found[0], hyperparameters={})])


@pytest.fixture(scope="module")
def recorded():
    runs = load_records(ROOT / "results", data="cifar10-jpeg75", preset="norm")
    assert {r.git_commit[-5:] for r in runs}.isdisjoint({"dirty"})
    assert len({r.git_commit for r in runs}) == 1
    return runs


def test_every_setting_is_recorded_with_the_same_seeds(recorded):
    sizes = sorted({record.hyperparameters["batch_size"] for record in recorded})
    assert sizes == [4, 32, 256]
    seeds = {
        tuple(r.seed for r in norm_figures.select(recorded, norm, condition, size))
        for norm in NORMS
        for condition in CONDITIONS
        for size in sizes
    }
    assert len(seeds) == 1
    assert len(seeds.pop()) >= 5


def test_what_chapter_5_says_in_words_is_what_the_records_show(recorded):
    def mean(kind, condition, size, how=None):
        runs = norm_figures.select(recorded, kind, condition, size)
        values = [
            r.metrics["test_accuracy"] if how is None else r.evaluations[how]["test_accuracy"]
            for r in runs
        ]
        return sum(values) / len(values)

    def gap(kind):
        return mean(kind, "exchangeable", 4) - mean(kind, "exchangeable", 4, "as-trained")

    assert gap("bn") > 3 * abs(gap("renorm"))
    for how in ("mean", "branch:0", "ensemble", "test-batch", "oracle", "as-trained", "precise"):
        assert mean("split", "exchangeable", 4, how) < 0.2

    def above_bn(size, known):
        split, bn = (norm_figures.select(recorded, k, "shifted", size) for k in ("split", "bn"))
        return Difference.of(
            [norm_figures.accuracy(a, known) - norm_figures.accuracy(b)
             for a, b in zip(split, bn, strict=True)]
        )  # fmt: skip

    for size in (32, 256):
        known = above_bn(size, True)
        assert known.interval.low > 0
        assert known.mean > 0.05
    for size in (4, 32, 256):
        assert above_bn(size, False).interval.high < 0
        for how in ("mean", "branch:0", "ensemble", "test-batch"):
            assert mean("split", "shifted", size, how) < mean("bn", "shifted", size)


def test_what_chapter_4_says_in_words_is_what_the_script_found():
    runs = norm_figures.claimed("memorise")["runs"]

    def mean(network, lr, name="test"):
        chosen = [r for r in runs if (r["network"], r["lr"]) == (network, lr) and r["fitted"]]
        assert len(chosen) >= 4
        return sum(r[name] for r in chosen) / len(chosen)

    plain, bn, ghost = ("no normalisation", 0.05), ("BN", 0.05), ("BN in groups of 4", 0.05)
    slow = ("BN", 0.005)
    for name in ("test", "later", "later, precise"):
        assert mean(*plain, name) > mean(*bn, name) + 0.05
    assert mean(*bn, "steps") < 0.5 * mean(*plain, "steps")
    assert abs(mean(*slow, "steps") / mean(*plain, "steps") - 1) < 0.25
    assert mean(*slow) < mean(*bn) + 0.02
    assert abs(mean(*ghost) - mean(*bn)) < 0.03
    assert mean(*plain, "attacked") > 2 * mean(*bn, "attacked")


def test_what_chapter_5_says_in_words_is_what_the_script_found():
    runs = norm_figures.claimed("small_batches")["runs"]

    def chosen(condition, batch, kind):
        wanted = (condition, batch, kind)
        return {r["seed"]: r for r in runs if (r["condition"], r["batch"], r["kind"]) == wanted}

    def against(a, b, key_a="test", key_b="test"):
        assert set(a) == set(b) == set(range(8))
        return Difference.of([a[s][key_a] - b[s][key_b] for s in range(8)])

    def mean(found, key="test"):
        return sum(r[key] for r in found.values()) / len(found)

    for place in (("random", 4), ("two classes", 32)):
        renorm, bn = chosen(*place, "renorm"), chosen(*place, "bn")
        assert against(renorm, bn).verdict == "higher"
        assert mean(bn) - mean(bn, "as trained") > 0.03
        assert abs(mean(renorm) - mean(renorm, "as trained")) < 0.02
    assert mean(chosen("random", 4, "split")) < 0.15
    split, bn = chosen("tinted", 32, "split"), chosen("tinted", 32, "bn")
    assert against(split, bn).verdict == "lower"
    assert against(split, bn, "known").verdict == "higher"


def test_what_chapter_6_says_in_words_is_what_the_script_found():
    study = norm_figures.claimed("simclr_colours")
    best = {}
    for space in ("as they are", "centred", "h", "h, centred"):
        for each in study["baselines"]:
            if space in each:
                best[each["what"]] = max(best.get(each["what"], 0), each[space])
    for space in ("h", "h, centred"):
        kept, random = (
            [r[space] for r in study["runs"] if r["colours"] == colours]
            for colours in ("kept", "random")
        )
        assert len(kept) == len(random) >= 3
        assert min(random) > best["grey pixels"]
        assert max(kept) < best["grey pixels"] + 0.02
