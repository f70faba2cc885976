"""widgets/static/lab: the core that trains in a page computes what the package computes."""

import base64
import copy
import hashlib
import json
import math
import shutil
import subprocess
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from scripts import node
from torch import nn

import contrastive_tutorial
from contrastive_tutorial import augment, data, losses, metrics, norm, records
from contrastive_tutorial.train import seeded
from contrastive_tutorial.widgets.continued import small

LAB = Path(contrastive_tutorial.__file__).parent / "widgets" / "static" / "lab"
N = 64
NORMS, NEGATIVES = ("bn", "split", "ghost", "renorm", "none"), ("cross", "within")
SUBSETS = (1, 2, 4, 8, N // 2)
MARGIN = 1e-5  # how far every pre-activation of the fixture stays from the corner of the ReLU
RUN = 20  # steps of a run, which the schedule of BatchRenorm counts


def lab(task, **arguments):
    """What lab_core.js answers."""
    job = {"task": task, "folder": str(LAB), **arguments}
    return node(Path(__file__).with_name("lab_core.js"), given=job)


def worker(*script):
    """Messages of the lab's worker; see lab_worker.js. The last wait ends it."""
    job = {"folder": str(LAB), "script": script}
    return node(Path(__file__).with_name("lab_worker.js"), given=job)


def kinds(heard, kind):
    return [message for message in heard if message["type"] == kind]


def packed(values):
    return base64.b64encode(np.ascontiguousarray(values, dtype="<f4").tobytes()).decode()


def unpacked(text, kind="<f4"):
    return np.frombuffer(base64.b64decode(text), kind).copy()


def network(name, seed):
    """A network of the lab, the package's own, layer by layer in float64."""
    model = small(seed) if name == "small" else seeded(seed, name)
    return nn.Sequential(*model.encoder.features, nn.Flatten(), *model.head).double()


def redrawn(model, views):
    """Draw the weights of a channel anew until none of its values is near a ReLU's corner.

    One value of half a million at 4e-7 falls on the other side in float32 and moves a gradient by
    3e-4, which would be no fault of the arithmetic.
    """
    for index, layer in enumerate(model):
        if not isinstance(layer, nn.ReLU):
            continue
        made = next(m for m in reversed(model[:index]) if isinstance(m, (nn.Conv2d, nn.Linear)))
        for _ in range(200):
            with torch.no_grad():
                x = forward(model[:index], views)
                away = x.abs().transpose(0, 1).flatten(1).amin(1)
                near = away < MARGIN
                if not near.any():
                    break
                fresh = torch.empty_like(made.weight)
                nn.init.kaiming_uniform_(fresh, math.sqrt(5))
                made.weight[near] = fresh[near]
        assert away.min() >= MARGIN


def forward(model, x):
    """A training forward of a copy: the running statistics stay as they were."""
    return copy.deepcopy(model).train()(x)


def loss_of(z, k, negatives, temperature):
    grouped = z.unflatten(0, (k, 2, -1))
    z0, z1 = grouped[:, 0], grouped[:, 1]
    if negatives == "cross":
        z0, z1 = z0.flatten(0, 1), z1.flatten(0, 1)
    return losses.nt_xent(z0, z1, temperature)


class Case:
    """One setting with its weights and views, and what float64 torch makes of them."""

    def __init__(self, name, kind, k, *, seed=0, step=0, views=None):
        torch.manual_seed(seed)
        self.name, self.kind, self.k, self.step = name, kind, k, step
        self.model = norm.convert_norm(network(name, seed), kind, k, total_steps=RUN)
        # Images that differ: where all projections are alike, float32 cancels in every library.
        images = nn.functional.interpolate(torch.randn(N, 3, 6, 6), 32, mode="bilinear")
        pairs = images[:, None] + 0.3 * torch.randn(N, 2, 3, 32, 32)
        self.views = pairs.unflatten(0, (k, -1)).transpose(1, 2).flatten(0, 2)
        if views is not None:
            self.views = views
        self.running = None
        for layer in self.norms:
            if kind != "none":
                nn.init.uniform_(layer.weight, 0.5, 1.5)
                nn.init.uniform_(layer.bias, -0.3, 0.3)
                layer.num_batches_tracked.fill_(step)
        if step:
            for layer in self.norms:
                layer.running_mean.uniform_(-0.2, 0.2)
                layer.running_std.uniform_(0.2, 0.6)
            parts = [t for m in self.norms for t in (m.running_mean, m.running_std)]
            for part in parts:
                part.copy_(part.float().double())
            self.running = torch.cat(parts)
        with torch.no_grad():
            for parameter in self.model.parameters():
                parameter.copy_(parameter.float().double())

    @property
    def norms(self):
        return [m for m in self.model if hasattr(m, "num_batches_tracked")]

    def settle(self):
        redrawn(self.model, self.views.double())
        with torch.no_grad():
            for parameter in self.model.parameters():
                parameter.copy_(parameter.float().double())
        return self

    def job(self, negatives, steps=1, temperature=0.2, lr=1e-3):
        return {
            "config": {"network": self.name, "norm": self.kind, "k": self.k, "n": N, "lr": lr,
                       "negatives": negatives, "temperature": temperature, "steps": RUN},
            "views": packed(self.views), "step": self.step, "steps": steps,
            "weights": packed(torch.cat([p.detach().flatten() for p in self.model.parameters()])),
            "running": None if self.running is None else packed(self.running),
        }  # fmt: skip

    def gradients(self, negatives, temperature=0.2):
        twin = copy.deepcopy(self.model)
        loss = loss_of(twin(self.views.double()), self.k, negatives, temperature)
        loss.backward()
        return loss.item(), [p.grad.flatten().numpy() for p in twin.parameters()]


def cases():
    """Every norm with every K of which its forward pass knows; BatchRenorm as plain BN, and in
    the middle of its schedule."""
    for name, kind, k in product(("small", "two_conv_strided"), NORMS, SUBSETS):
        if name == "small" or k in (1, 4):
            yield name, kind, k, 0
    yield from (("small", "renorm", k, step) for k, step in ((1, 3), (4, 12)))
    yield "two_conv_strided", "renorm", 2, 4


def same_gradients(case):
    """Loss to 1e-6 and each gradient to 1e-5 of its length, for both kinds of negatives."""
    answers = lab("train", cases=[case.job(negatives) for negatives in NEGATIVES])
    for negatives, answer in zip(NEGATIVES, answers, strict=True):
        expected, gradients = case.gradients(negatives)
        assert answer["losses"][0] == pytest.approx(expected, abs=1e-6, rel=0)
        found, start = unpacked(answer["gradients"]), 0
        for index, reference in enumerate(gradients):
            own = found[start : start + len(reference)]
            start += len(reference)
            error = np.linalg.norm(own - reference) / np.linalg.norm(reference)
            assert error < 1e-5, (negatives, index, error)
        assert start == len(found)


@pytest.mark.parametrize(("name", "kind", "k", "step"), list(cases()))
def test_loss_and_gradients_are_those_of_float64(name, kind, k, step):
    same_gradients(Case(name, kind, k, step=step).settle())


@pytest.mark.parametrize("kind", NORMS)
@pytest.mark.parametrize("negatives", NEGATIVES)
def test_twenty_steps_of_adam_are_those_of_float64(kind, negatives):
    case = Case("small", kind, 4, seed=1)
    found = lab("train", cases=[case.job(negatives, RUN)])[0]["losses"]
    optimizer, expected = torch.optim.Adam(case.model.parameters(), lr=1e-3), []
    for _ in range(RUN):
        loss = loss_of(case.model(case.views.double()), case.k, negatives, 0.2)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        expected.append(loss.item())
    assert expected[-1] < expected[0] - 0.05, "something was learnt"
    np.testing.assert_allclose(found, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", NORMS)
def test_flat_images_have_the_loss_of_a_constant(kind):
    """All views alike: every variance is zero, every projection the same."""
    case = Case("small", kind, 4, views=torch.full((2 * N, 3, 32, 32), 0.5))
    found = lab("train", cases=[case.job(negatives) for negatives in NEGATIVES])
    for answer, candidates in zip(found, (2 * N, 2 * N / 4), strict=True):
        assert answer["losses"][0] == pytest.approx(math.log(candidates - 1), abs=1e-5)
        assert answer["positive"] == pytest.approx(1, abs=1e-5)
        assert answer["negative"] == pytest.approx(1, abs=1e-5)
        assert np.isfinite(unpacked(answer["gradients"])).all()


def test_similarities_are_those_of_the_projections():
    case = Case("small", "bn", 2)
    found = lab("train", cases=[case.job(negatives) for negatives in NEGATIVES])
    z = nn.functional.normalize(forward(case.model, case.views.double()).detach(), dim=1)
    z = z.unflatten(0, (2, 2, -1)).transpose(0, 1)  # view, subset, image
    cosine = torch.einsum("vgid,whjd->vgiwhj", z, z)
    same_image = torch.eye(N).bool().view(2, N // 2, 2, N // 2)[None, :, :, None]
    positive = float((z[0] * z[1]).sum(-1).mean())
    inside = torch.eye(2).bool()[None, :, None, None, :, None]
    for answer, candidates in zip(found, (~same_image, ~same_image & inside), strict=True):
        assert answer["positive"] == pytest.approx(positive, abs=1e-5)
        expected = float(cosine[candidates.expand_as(cosine)].mean())
        assert answer["negative"] == pytest.approx(expected, abs=1e-5)


def test_means_and_variances_of_the_largest_batch_are_those_of_float64():
    """A float32 that grows by one value after the other would have a variance of 0.199 here."""
    images, positions, channels = 512, 1024, 4
    values = np.random.RandomState(0).uniform(100, 101, 9973 * 4).astype(np.float32)
    for groups in (1, 4):
        found = unpacked(
            lab("moments", values=packed(values), images=images, positions=positions,
                channels=channels, groups=groups)
        ).reshape(2, groups, channels)  # fmt: skip
        count = images * positions * channels
        all_values = np.resize(values, count).astype(np.float64)
        per_group = all_values.reshape(groups, -1, channels)
        np.testing.assert_allclose(found[0], per_group.mean(1), rtol=2e-7)
        np.testing.assert_allclose(found[1], per_group.var(1), rtol=2e-6)


def test_images_are_the_packages_byte_for_byte():
    found = lab("images", count=1_100)
    train = data.load("shapes", "train", num_images=1_100)
    test = data.load("shapes", "test", num_images=500)
    assert np.array_equal(unpacked(found["train"], "u1"), train.images.numpy().ravel())
    assert np.array_equal(unpacked(found["test"], "u1"), test.images.numpy().ravel())
    assert found["hash"] == train.content_hash


def test_views_are_the_packages():
    """Drawn by the package's strongest recipes, among them blur and a shift of the brightness."""
    images = data.load("shapes", "train", num_images=200).images
    wide = (0.2, 1.8)
    jitter = {"brightness": wide, "contrast": wide, "saturation": (0, 2), "hue": (-0.5, 0.5)}
    everything = {"grayscale": 0.2, "shift": 0.2, "blur": 1.0, "sigma": (0.2, 2.0)}
    recipes = [
        augment.Policy("plain"), augment.Policy("grey", grayscale=1.0, shift=-0.3),
        augment.Policy("jitter", jitter=1.0, **jitter),
        augment.Policy("all", jitter=0.8, **everything, **jitter),
    ]  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    p = augment.sample(recipes, torch.arange(len(images)) % len(recipes), generator)
    columns = [p.top, p.left, p.height, p.width, p.flip, p.brightness, p.contrast, p.saturation,
               p.hue, *p.order.unbind(1), p.grayscale, p.shift, p.sigma]  # fmt: skip
    numbers = torch.stack([column.float() for column in columns], 1)
    found = unpacked(lab("augment", numbers=packed(numbers))).reshape(images.shape)
    np.testing.assert_allclose(found, augment.apply(images, p), atol=2e-6)


def test_the_floor_is_the_packages():
    settings = [
        {"k": k, "n": n, "temperature": t, "negatives": negatives}
        for k, n, t, negatives in product((1, 2, 8), (16, 64), (0.05, 0.5), NEGATIVES)
    ]
    for setting, found in zip(settings, lab("floors", configs=settings), strict=True):
        k, n = setting["k"], setting["n"]
        if setting["negatives"] == "within":
            expected = losses.nt_xent_floor(n // k)
        else:
            between = -1 / (k - 1) if k > 1 else 0.0
            expected = losses.nt_xent_floor(n, k, setting["temperature"], between)
        assert found == pytest.approx(expected, abs=1e-12)


BAD = [
    ("k", {"k": 3}), ("k", {"n": 16, "k": 16}), ("k", {"k": 0}), ("n", {"n": 2}),
    ("n", {"n": 10.5}),
    ("n", {"n": "64"}), ("temperature", {"temperature": 0}), ("lr", {"lr": -1}),
    ("norm", {"norm": "gn"}), ("network", {"network": "resnet18"}), ("seed", {"seed": -1}),
    ("steps", {"steps": 0}), ("images", {"images": 10}), ("colours", {"colours": None, "norm": 3}),
    ("colour", {"colour": "kept"}),
]  # fmt: skip


def test_bad_settings_are_refused_by_name():
    found = lab("check", configs=[config for _, config in BAD])
    wanted = [field if field != "colours" else "norm" for field, _ in BAD]
    assert [answer.get("field") for answer in found] == wanted
    assert all(answer["message"].startswith(answer["field"]) for answer in found)


def test_every_setting_of_subsets_runs():
    """Of each norm and kind of negatives, also where a subset has two images and N is odd."""
    configs = [
        {"norm": kind, "negatives": negatives, "n": n, "k": k, "policy": "subset"}
        for kind, negatives, (n, k) in product(NORMS, NEGATIVES, ((64, 32), (9, 3)))
    ] + [{"n": 128, "policy": "blur", "k": 2, "network": "two_conv_strided"}, {"k": 1}]
    for config, answer in zip(configs, lab("run", configs=configs, steps=2), strict=True):
        assert not answer["diverged"], config
        assert len(answer["losses"]) == 2
        assert 0 < answer["after"]["knn"] < 1
        assert 0.1 <= answer["after"]["clusters"] < 1
        assert (answer["after"]["probe"] is None) == (config["k"] == 1)


def test_it_learns_and_the_same_seed_learns_the_same():
    configs = [{"seed": 3}, {"seed": 3}, {"seed": 4}]
    first, again, other = lab("run", configs=configs, steps=60)
    assert first == again
    assert other["losses"] != first["losses"]
    assert np.mean(first["losses"][-10:]) < np.mean(first["losses"][:10]) - 0.3
    assert first["bytes"] < 30e6, "two of them are one page's"


def test_a_step_too_large_keeps_the_weights_before_it():
    (answer,) = lab("run", configs=[{"lr": 1e6}], steps=10)
    assert answer["diverged"]
    assert answer["step"] == 0
    assert len(answer["losses"]) == 1
    assert answer["after"] == answer["untrained"]


def start(name=1, paused=False, **config):
    return {"type": "start", "id": name, "config": config, "paused": paused}


def test_a_run_tells_all_that_a_page_shows(tmp_path):
    heard = worker(["", [start(steps=24, k=4, policy="subset", seed=5)]], ["end", []])
    assert {message["id"] for message in heard} == {1}
    (ready,), (end,) = kinds(heard, "ready"), kinds(heard, "end")
    assert heard[0] == ready
    assert heard[-1] == end
    untrained = ready["untrained"]
    assert len(untrained["xy"]) == 600
    for entries, count in ((untrained["labels"], 10), (untrained["subsets"], 4),
                           (untrained["factors"]["colour"], 4)):  # fmt: skip
        assert len(entries) == 300
        assert set(entries) == set(range(count))
    assert 0 < untrained["knn"] < 1
    assert 0.01 < untrained["band"] < 0.06
    assert ready["weights"] == 9_328
    assert ready["log2n1"] == pytest.approx(math.log(127))
    assert ready["config"]["temperature"] == 0.2
    ticks = kinds(heard, "tick")
    told = [loss for tick in ticks for loss in tick["losses"]]
    assert len(told) == 24
    assert ticks[-1]["step"] == 24
    assert told[-1] == pytest.approx(ticks[-1]["loss"], rel=1e-6)
    assert [e["step"] for e in kinds(heard, "eval")] == list(range(2, 25, 2))
    views = kinds(heard, "views")[0]
    pixels = np.array(views["pixels"]).reshape(views["height"], views["width"], 4)
    assert pixels.shape == (64, 256, 4)
    assert pixels[..., :3].std() > 20
    assert views["subsets"] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert (end["reason"], end["step"]) == ("steps", 24)

    export = end["export"]
    file = tmp_path / "{cell}-K{num_subsets}-s{seed}.json".format(**export)
    file.write_text(json.dumps(end["export"]))
    (record,) = records.load_records(file)
    assert record.num_subsets == 4
    assert record.seed == 5
    assert record.data_hash == data.load("shapes", "train", num_images=2_000).content_hash
    np.testing.assert_allclose([loss for _, loss in record.loss_curve], told, atol=1e-5)
    assert record.metrics["knn10"] == kinds(heard, "eval")[-1]["knn"]
    assert record.metrics["cluster_accuracy"] == kinds(heard, "eval")[-1]["clusters"]
    assert record.hyperparameters["lab"] == ready["config"]


def test_pause_step_set_resume_and_stop():
    heard = worker(
        ["", [start(paused=True)]],
        ["views", [{"type": "step", "id": 1}]],
        ["eval", [{"type": "set", "id": 1, "temperature": 0.7},
                  {"type": "set", "id": 1, "lr": -1}, {"type": "step", "id": 1}]],
        ["eval", []], [300, [{"type": "resume", "id": 1}]],
        ["tick", []], [600, [{"type": "pause", "id": 1}]],
        [300, [{"type": "stop", "id": 1}, {"type": "step", "id": 1}]],
        ["end", []],
    )  # fmt: skip
    ticks, (end,) = kinds(heard, "tick"), kinds(heard, "end")
    assert [tick["step"] for tick in ticks[:2]] == [1, 2]
    assert [e["step"] for e in kinds(heard, "eval")[:2]] == [1, 2]
    assert [error["field"] for error in kinds(heard, "error")] == ["lr"]
    assert end["reason"] == "stopped"
    assert end["export"]["hyperparameters"]["lab"]["temperature"] == 0.7
    assert end["export"]["hyperparameters"]["lab"]["lr"] == 0.003
    assert end["step"] == ticks[-1]["step"] > 2
    assert sum(len(tick["losses"]) for tick in ticks) == end["step"]


def test_a_new_start_ends_the_run_before_and_old_names_are_dropped():
    heard = worker(
        ["", [start(1)]],
        ["tick", [{"type": "stop", "id": 7}, start(2, steps=3, n=16), {"type": "stop", "id": 1}]],
        ["end", []],
    )
    first_of_2 = next(i for i, message in enumerate(heard) if message["id"] == 2)
    assert all(message["id"] == 2 for message in heard[first_of_2:])
    assert [(end["id"], end["reason"]) for end in kinds(heard, "end")] == [(2, "steps")]


def test_a_bad_setting_and_a_rate_too_high_are_told():
    heard = worker(
        ["", [start(1, n=30, k=4)]],
        ["error", [start(2, lr=1e6)]],
        ["end", []],
    )  # fmt: skip
    assert heard[0]["type"] == "error"
    assert (heard[0]["id"], heard[0]["field"]) == (1, "k")
    (end,) = kinds(heard, "end")
    assert (end["reason"], end["step"]) == ("diverged", 0)
    assert end["export"]["metrics"]["knn10"] == kinds(heard, "ready")[0]["untrained"]["knn"]


def clouds(seed=0, count=600, width=32):
    """Unit rows (count, width) around ten directions, half of them close to another one."""
    random = np.random.RandomState(seed)
    middles = random.normal(size=(10, width))
    middles[5:] = middles[:5] + 0.3 * random.normal(size=(5, width))
    x = middles[np.arange(count) % 10] + 0.6 * random.normal(size=(count, width))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def fitted(points, **start):
    count, width = points.shape
    found = lab("kmeans", values=packed(points), count=count, width=width,
                **{name: packed(value) for name, value in start.items()})  # fmt: skip
    places = {name: unpacked(found[name]).reshape(10, width) for name in ("starts", "centroids")}
    return found | places | {"labels": unpacked(found["labels"], "<i4")}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("width", [32, 128])
def test_clusters_are_those_of_scikit_learn_from_the_same_start(seed, width):
    from sklearn.cluster import KMeans

    x = clouds(seed, width=width)
    start = x[np.random.RandomState(seed).choice(len(x), 10, replace=False)]
    own = fitted(x, centroids=start)
    theirs = KMeans(10, init=start, n_init=1, tol=0).fit(x)
    assert np.array_equal(own["labels"], theirs.labels_)
    assert own["inertia"] == pytest.approx(theirs.inertia_, rel=1e-5)
    np.testing.assert_allclose(own["centroids"], theirs.cluster_centers_, atol=1e-5)


def test_a_cluster_that_runs_empty_takes_the_farthest_point():
    from sklearn.cluster import KMeans

    x = clouds()
    start = x[:10].copy()
    start[3] = start[7] = 5.0  # nobody's nearest
    own, theirs = fitted(x, centroids=start), KMeans(10, init=start, n_init=1, tol=0).fit(x)
    assert len(set(own["labels"])) == 10
    assert np.array_equal(own["labels"], theirs.labels_)


def test_starts_are_drawn_far_from_one_another():
    """Greedy k-means++ once more, in numpy and float64, with the same random numbers."""
    x = clouds(seed=2)
    uniform = np.random.RandomState(0).uniform(size=(10, 4)).astype(np.float32)
    rows = x.astype(np.float64)
    away = ((rows[:, None] - rows) ** 2).sum(2)
    chosen = [int(uniform[0, 0] * len(x))]
    for draws in uniform[1:].astype(np.float64):
        nearest = away[chosen].min(0)
        drawn = np.searchsorted(nearest.cumsum(), draws * nearest.sum(), side="right")
        left = np.minimum(nearest, away[drawn]).sum(1)
        chosen.append(int(drawn[left.argmin()]))
    assert np.array_equal(fitted(x, uniform=uniform)["starts"], x[chosen])


def test_points_all_alike_have_clusters_too():
    same = np.tile(clouds(count=10)[:1], (600, 1))
    found = fitted(same, uniform=np.full((10, 4), 0.999, np.float32))
    assert found["inertia"] == pytest.approx(0, abs=1e-9)
    assert len(set(found["labels"])) == 1


def test_clusters_are_matched_to_classes_as_the_package_does():
    random = np.random.RandomState(0)
    tables = [random.randint(0, 30, (10, 10)) for _ in range(20)] + [np.zeros((10, 10), int)]
    for table, hits in zip(tables, lab("matched", counts=[t.ravel().tolist() for t in tables]),
                           strict=True):  # fmt: skip
        pairs = [(i, j) for i in range(10) for j in range(10) for _ in range(table[i, j])]
        if not pairs:
            assert hits == 0
            continue
        clusters, labels = np.array(pairs).T
        assert hits == round(metrics.cluster_accuracy(labels, clusters) * len(pairs))


def test_cluster_accuracy_is_the_packages():
    """Other random numbers choose the starts, so the scores are near, not equal."""
    found = lab("features", config={"seed": 1})
    bank, test = (unpacked(found[name]).reshape(-1, 32) for name in ("bank", "test"))
    labels = np.arange(len(test)) % 10
    scores = [
        metrics.cluster_accuracy(labels, metrics.cluster(bank, test, 10, seed, n_init=5))
        for seed in range(10)
    ]
    assert min(scores) - 0.02 <= found["clusters"] <= max(scores) + 0.02


QUESTIONS = json.loads((LAB / "questions.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("item", QUESTIONS, ids=lambda item: item["id"])
def test_a_question_is_asked_only_where_its_seeds_agree_on_the_answer(item, monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    import lab_questions

    assert lab_questions.promised(item)
    assert lab_questions.answered(item) == item, "python benchmarks/lab_questions.py"
    a, b = (np.array(side) for side in item["values"])
    assert len(a) == len(b) == item["seeds"] >= 6
    interval = records.mean_interval((b - a).tolist())
    assert item["effect"] == pytest.approx((b - a).mean(), abs=1e-4)
    assert item["interval"] == pytest.approx([interval.low, interval.high], abs=5e-4)
    asked = next(one for one in lab_questions.QUESTIONS if one["id"] == item["id"])
    assert asked.items() <= item.items(), "the runs are of what the page sets"


@pytest.mark.parametrize(
    ("effect", "interval", "shows", "answer", "promised"),
    [
        (0.2, [0.1, 0.3], 2.0, 1, True), (-0.2, [-0.3, -0.1], 2.0, 0, True),
        (0.01, [-0.01, 0.02], None, 2, True), (0.02, [-0.1, 0.14], None, None, False),
        (0.02, [0.01, 0.05], 2.0, None, False), (0.2, [0.1, 0.3], 31.0, 1, False),
    ],
)  # fmt: skip
def test_what_seeds_say(effect, interval, shows, answer, promised, monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    import lab_questions

    found = {"effect": effect, "interval": interval, "shows": shows, "same": 0.03, "seconds": 6.0,
             "values": [[0.1], [0.1 + effect]], "seeds": 6, "label": "kNN"}  # fmt: skip
    said = lab_questions.answered(found)
    assert said["answer"] == answer
    assert lab_questions.promised(said) == promised
    assert f"{interval[1]:+.2f}".replace("-", "−") in said["measured"]


def test_the_compiled_core_is_the_one_whose_hash_is_written_down():
    written = (LAB / "lab.wasm.sha256").read_text().split()
    assert written == [hashlib.sha256((LAB / "lab.wasm").read_bytes()).hexdigest(), "lab.wasm"]


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_the_source_compiles_to_the_same_bytes(tmp_path):
    for name in ("kernels.ts", "package.json"):
        shutil.copy(LAB / name, tmp_path)
    install = ["npm", "install", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund"]
    got = subprocess.run(install, cwd=tmp_path, capture_output=True, text=True, check=False)
    if got.returncode != 0:
        pytest.skip(f"npm cannot install the compiler: {got.stderr.strip()[-200:]}")
    subprocess.run(["npm", "run", "build"], cwd=tmp_path, capture_output=True, check=True)
    assert (tmp_path / "lab.wasm").read_bytes() == (LAB / "lab.wasm").read_bytes()
    assert (tmp_path / "lab.wasm.sha256").read_text() == (LAB / "lab.wasm.sha256").read_text()
