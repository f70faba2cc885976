"""Chapter 1's conclusions, varied: which change does the work, and is it better than doing nothing?

Varied: recipe of the views, temperature, steps, seed. Beside every trained network: raw pixels, and
the same network untrained with *measured* BatchNorm statistics. `python benchmarks/claims/views.py`
prints the table of the chapter's note; `--quick` takes one seed.
"""

from __future__ import annotations

import argparse
from statistics import mean, stdev

import torch

from contrastive_tutorial import augment, data, losses, metrics, norm
from contrastive_tutorial.augment import Policy
from contrastive_tutorial.train import encoders

N, BANK, TEST = 100, 3_000, 2_000
WHOLE = {"scale": (1.0, 1.0), "ratio": (1.0, 1.0)}
MILD = {"jitter": 0.8, "grayscale": 0.2, "brightness": (0.6, 1.4), "contrast": (0.6, 1.4),
        "saturation": (0.6, 1.4), "hue": (-0.1, 0.1)}  # fmt: skip
RANDOM = {"jitter": 1.0, "grayscale": 0.2, "brightness": (0.6, 1.4), "contrast": (0.6, 1.4),
          "saturation": (0.0, 2.0), "hue": (-0.5, 0.5)}  # fmt: skip
RECIPES = {
    "flip": Policy("flip", **WHOLE),
    "crop": Policy("crop"),
    "mild colour": Policy("mild", **WHOLE, **MILD),
    "crop + mild colour": Policy("crop-mild", **MILD),
    "colour": Policy("colour", **WHOLE, **RANDOM),
    "crop + colour": Policy("crop-colour", **RANDOM),
}


def two_views(images, policy, generator):
    """(2N, 3, 32, 32): rows i and i + N are views of image i."""
    ids = torch.zeros(2 * len(images), dtype=torch.int64)
    params = augment.sample([policy], ids, generator)
    return augment.apply(images.repeat(2, 1, 1, 1), params)


def learn(images, policy, temperature=0.2, steps=200, seed=0, lr=3e-3):
    """A network trained with NT-Xent, its statistics measured on views; 0 steps: untrained."""
    generator = torch.Generator().manual_seed(seed)
    model = encoders.seeded(seed, "two_conv_strided")
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    for _ in range(steps):
        rows = torch.randint(len(images), (N,), generator=generator)
        _, z = model(two_views(images[rows], policy, generator))
        loss = losses.nt_xent(z[:N], z[N:], temperature)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


@torch.no_grad()
def knn(model, bank, test, of="h"):
    """kNN accuracy (k = 10, cosine) with statistics measured on the bank; pixels without model."""
    if model is None:
        found = [part.images.flatten(1).float() for part in (bank, test)]
    else:
        norm.precise_bn(model, [part.float() / 255 for part in bank.images.split(500)])
        model.eval()
        found = [
            torch.cat([model(part.float() / 255)[of == "z"] for part in piece.images.split(500)])
            for piece in (bank, test)
        ]
    return metrics.knn_accuracy(
        found[0], bank.labels, found[1], test.labels, k=10, temperature=None
    )


def row(values):
    spread = f" +- {stdev(values):.3f}" if len(values) > 1 else ""
    return f"{mean(values):.3f}{spread} ({min(values):.3f} to {max(values):.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seeds", type=int, default=4)
    options = parser.parse_args()
    seeds = range(1 if options.quick else options.seeds)
    train = data.load("shapes", "train")
    bank = train.subset(torch.arange(0, len(train), len(train) // BANK))
    test = data.load("shapes", "test").subset(range(TEST))
    print(f"{len(bank)} images in the bank, {len(test)} tested, {len(seeds)} seeds, N = {N}")
    print("raw pixels:", f"{knn(None, bank, test):.3f}", flush=True)
    base = [learn(train.images, None, steps=0, seed=s) for s in seeds]
    print("untrained h:", row([knn(m, bank, test) for m in base]))
    print("untrained z:", row([knn(m, bank, test, "z") for m in base]), flush=True)
    some = ("crop", "colour", "crop + mild colour")
    settings = [(0.2, 200, tuple(RECIPES)), (0.5, 200, some), (0.2, 60, some), (0.2, 600, some[:2])]
    for temperature, steps, names in settings[: 1 if options.quick else None]:
        for name in names:
            policy = RECIPES[name]
            models = [learn(train.images, policy, temperature, steps, s) for s in seeds]
            print(f"t {temperature}, {steps} steps, {name:18}: h",
                  row([knn(m, bank, test) for m in models]), "| z",
                  row([knn(m, bank, test, "z") for m in models]), flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
