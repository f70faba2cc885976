"""Chapter 5: which normalisation copes with small batches, with few classes, with tinted subsets?

The three-convolution classifier is trained for five epochs on images of ``shapes``, reduced to
16 x 16 (640 at batch size 4, which makes 800 steps, and 2,048 at 32, some 300), under three
conditions: batches drawn at random; batches of two classes only, where the paper of Batch
Renormalization reports its gain; and batches of four subsets, each with a tint of its own. Seeds
are paired: kinds of one seed share weights, images and their order. What a critic would vary is
varied: the statistics of the evaluation, and what BN is told about the test image.

    python benchmarks/claims/small_batches.py      # about three minutes of one core
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from claims import finish, started
from torch import Tensor, nn

from contrastive_tutorial import data, norm
from contrastive_tutorial.study import classifier, shift

EPOCHS, SUBSETS = 5, 4
IMAGES = {4: 640, 32: 2_048}  # by batch size: 800 and some 300 steps
#: condition, batch size, kinds, seeds
PLAN: list[tuple[str, int, tuple[str, ...], int]] = [
    ("random", 4, ("bn", "renorm"), 8),
    ("random", 4, ("split",), 4),
    ("two classes", 32, ("bn", "renorm"), 8),
    ("tinted", 32, ("bn", "split"), 8),
]
Part = tuple[Tensor, Tensor, Tensor]  # images, labels, subsets


def prepare(split: str, count: int) -> Part:
    part = data.load("shapes", split, "cpu")
    rows = torch.randperm(len(part), generator=torch.Generator().manual_seed(0))[:count]
    x = F.avg_pool2d(part.images[rows].float() / 255, 2)
    return x, part.labels[rows], torch.arange(count) % SUBSETS


def inputs(x: Tensor, subsets: Tensor, condition: str) -> Tensor:
    return ((shift(x, subsets) if condition == "tinted" else x) - 0.5) / 0.25


def batches(condition: str, size: int, sets: Part, seed: int, epochs: int = EPOCHS) -> list[Tensor]:
    """Rows of every batch, in order, the same for every kind."""
    _, labels, subsets = sets
    count = len(labels)
    draw = torch.Generator().manual_seed(seed)
    found = []
    for _ in range(epochs):
        order = torch.randperm(count, generator=draw)
        if condition == "two classes":  # halves of one class each, in random pairs
            halves = [
                half
                for label in range(10)
                for half in order[labels[order] == label].split(size // 2)
                if len(half) == size // 2
            ]
            mixed = torch.randperm(len(halves), generator=draw).tolist()
            pairs = zip(mixed[::2], mixed[1::2], strict=False)
            found += [torch.cat([halves[a], halves[b]]) for a, b in pairs]
        elif condition == "tinted":  # equal blocks, subset by subset
            each = [order[subsets[order] == k] for k in range(SUBSETS)]
            quarter = size // SUBSETS
            found += [
                torch.cat([rows[i : i + quarter] for rows in each])
                for i in range(0, count // SUBSETS - quarter + 1, quarter)
            ]
        else:
            found += list(order[: count - count % size].split(size))
    return found


@torch.no_grad()
def accuracy(forward, test: Part, condition: str, subset: int | None = None) -> float:
    x, labels, subsets = test
    chosen = torch.ones(len(x), dtype=torch.bool) if subset is None else subsets == subset
    found = forward(inputs(x[chosen], subsets[chosen], condition)).argmax(1)
    return float((found == labels[chosen]).float().mean())


@torch.no_grad()
def as_trained(model: nn.Module, test: Part, condition: str, size: int) -> float:
    """In training mode, in batches like those of training."""
    twin, right, seen = copy.deepcopy(model).train(), 0, 0
    for rows in batches(condition, size, test, 0, 1):
        x, labels = inputs(test[0][rows], test[2][rows], condition), test[1][rows]
        right += int((twin(x).argmax(1) == labels).sum())
        seen += len(rows)
    return right / seen


def measured_anew(model: nn.Module, parts: list[Tensor]) -> nn.Module:
    twin = copy.deepcopy(model)
    norm.precise_bn(twin, parts)
    return twin.eval()


def run(condition: str, size: int, kind: str, seed: int, sets: Part, test: Part) -> dict:
    rows = batches(condition, size, sets, seed)
    rate = 0.2 * size / 256
    torch.manual_seed(seed)
    model = norm.convert_norm(classifier(10), kind, SUBSETS, total_steps=len(rows))
    opt = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(opt, len(rows))
    for batch in rows:
        x, labels = inputs(sets[0][batch], sets[2][batch], condition), sets[1][batch]
        loss = F.cross_entropy(model(x), labels)
        opt.zero_grad()
        loss.backward()
        opt.step()
        decay.step()
    found = {"condition": condition, "batch": size, "kind": kind, "seed": seed, "steps": len(rows)}
    found |= {"images": len(sets[1]), "lr": rate}
    with norm.evaluation_statistics(model, "pooled" if kind == "split" else "running") as forward:
        found["test"] = accuracy(forward, test, condition)
    found["as trained"] = as_trained(model, test, condition, size)
    if kind == "split":
        with norm.evaluation_statistics(model, "oracle") as forward:
            order = torch.argsort(test[2], stable=True)
            known = tuple(part[order] for part in test)
            found["known"] = accuracy(forward, known, condition)
        return found
    everything = inputs(sets[0], sets[2], condition)
    found["measured anew"] = accuracy(measured_anew(model, [everything]), test, condition)
    if condition == "tinted":  # one set of statistics, but measured for each tint
        found["known"] = (
            sum(
                accuracy(measured_anew(model, [everything[sets[2] == k]]), test, condition, k)
                for k in range(SUBSETS)
            )
            / SUBSETS
        )
    return found


def main() -> None:
    clock = started()
    sets = {size: prepare("train", count) for size, count in IMAGES.items()}
    test = prepare("test", 2_000)
    runs = []
    for condition, size, kinds, seeds in PLAN:
        for kind in kinds:
            rows = []
            for seed in range(seeds):
                rows.append(run(condition, size, kind, seed, sets[size], test))
                print(rows[-1], flush=True)
            names = [
                name for name in ("test", "as trained", "measured anew", "known") if name in rows[0]
            ]
            means = {name: round(sum(row[name] for row in rows) / seeds, 3) for name in names}
            print(condition, size, kind, rows[0]["steps"], means, flush=True)
            runs += rows
    finish(
        clock,
        "small_batches",
        {"data": "shapes, 16 x 16", "images": IMAGES, "epochs": EPOCHS, "runs": runs},
    )


if __name__ == "__main__":
    main()
