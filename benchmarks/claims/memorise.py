"""Chapter 4: does Batch Normalization overfit when data is scarce? Compared where all have fitted.

Every network is trained on a few images of ``shapes``, reduced to 16 x 16, until it classifies 99%
of them right in evaluation mode, and only then tested. What a critic would vary is varied: the
learning rate (so that one with BN takes as many steps as one without), the statistics of the
evaluation, and 60 steps more after the images are fitted.

    python benchmarks/claims/memorise.py           # about one minute of one core
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from claims import finish, started
from torch import nn

from contrastive_tutorial import data, norm
from contrastive_tutorial.study import classifier

NETWORKS = {"no normalisation": ("none", 1), "BN": ("bn", 1), "BN in groups of 4": ("ghost", 25)}
#: training images, network, learning rate, seeds
PLAN = [
    (200, "no normalisation", 0.05, 8),
    (200, "BN", 0.05, 8),
    (200, "BN in groups of 4", 0.05, 8),
    (200, "BN", 0.005, 8),
]
BATCH, EVERY, LIMIT, FITTED, MORE = 100, 10, 1_000, 0.99, 60


def pixels(images: torch.Tensor) -> torch.Tensor:
    return F.avg_pool2d((images.float() / 255 - 0.5) / 0.25, 2)


@torch.no_grad()
def accuracy(model: nn.Module, x: torch.Tensor, labels: torch.Tensor) -> float:
    model.eval()
    found = float((model(x).argmax(1) == labels).float().mean())
    model.train()
    return found


def attacked(model: nn.Module, x: torch.Tensor, labels: torch.Tensor) -> float:
    """Accuracy after every pixel has moved by 1/100 of its range in the worst direction."""
    x = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(F.cross_entropy(model.eval()(x), labels), x)
    worse = (x + 0.04 * gradient.sign()).clamp(-2, 2).detach()  # pixels are scaled by 4
    return accuracy(model, worse, labels)


def run(network: str, rate: float, count: int, seed: int, sets: tuple) -> dict:
    """Train one network until it has fitted ``count`` images."""
    (images, labels), (test, test_labels) = sets
    draw = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(images), generator=draw)[:count]  # other images for every seed
    x, y = images[chosen], labels[chosen]
    kind, groups = NETWORKS[network]
    torch.manual_seed(seed)
    options = {"grouping": "contiguous"} if kind == "ghost" else {}
    model = norm.convert_norm(classifier(10), kind, groups, **options)
    opt = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)

    def steps(number: int) -> None:
        for _ in range(number):
            rows = torch.randperm(count, generator=draw)[:BATCH]
            loss = F.cross_entropy(model(x[rows]), y[rows])
            opt.zero_grad()
            loss.backward()
            opt.step()

    taken, fit = 0, 0.0
    while fit < FITTED and taken < LIMIT:
        steps(EVERY)
        taken += EVERY
        fit = accuracy(model, x, y)
    found = {"network": network, "lr": rate, "images": count, "seed": seed, "steps": taken}
    found |= {"fitted": fit >= FITTED, "train": fit, "test": accuracy(model, test, test_labels)}
    found["attacked"] = attacked(model, test, test_labels)
    steps(MORE)
    found["later"] = accuracy(model, test, test_labels)
    if kind != "none":
        norm.precise_bn(model, [x[i : i + BATCH] for i in range(0, count, BATCH)])
    found["later, precise"] = accuracy(model, test, test_labels)
    return found


def main() -> None:
    clock = started()
    train_set, test_set = (data.load("shapes", split, "cpu") for split in ("train", "test"))
    test_set = test_set.subset(range(1_000))
    sets = tuple((pixels(part.images), part.labels) for part in (train_set, test_set))
    runs = []
    for count, network, rate, seeds in PLAN:
        for seed in range(seeds):
            runs.append(run(network, rate, count, seed, sets))
            print(runs[-1], flush=True)
    groups: dict[tuple, list[dict]] = {}
    for each in runs:
        groups.setdefault((each["images"], each["network"], each["lr"]), []).append(each)
    for key, rows in groups.items():
        fitted = [row for row in rows if row["fitted"]]
        means = {
            name: sum(row[name] for row in fitted) / max(len(fitted), 1)
            for name in ("steps", "train", "test", "attacked", "later", "later, precise")
        }
        print(
            key, f"fitted {len(fitted)} of {len(rows)}", {k: round(v, 3) for k, v in means.items()}
        )
    finish(clock, "memorise", {"data": "shapes, 16 x 16", "test_images": 1_000, "runs": runs})


if __name__ == "__main__":
    main()
