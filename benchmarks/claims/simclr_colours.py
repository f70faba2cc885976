"""Chapter 6: does contrastive training teach anything here, and is it the colours that decide?

Plain SimCLR on ``shapes`` with two policies that crop and flip alike: one keeps the colours of an
image in both views, the other draws them anew for each. Measured against what needs no training
(pixels, grey pixels, the untrained network with measured statistics). What a critic would vary is
varied: the seed, the baseline, and where the cosines have their centre.

    python benchmarks/claims/simclr_colours.py     # about one minute of one core
"""

from __future__ import annotations

import copy

import torch
from claims import finish, started
from torch import Tensor

from contrastive_tutorial import augment, data, losses, metrics, norm
from contrastive_tutorial.data import ImageSet
from contrastive_tutorial.train import ContrastiveModel, seeded

KEPT = augment.Policy("kept", scale=(0.4, 1.0))
RANDOM = augment.Policy(
    "random", scale=(0.4, 1.0), jitter=1.0, brightness=(0.4, 1.6), contrast=(0.4, 1.6),
    saturation=(0.0, 2.0), hue=(-0.5, 0.5), grayscale=0.3, solarize=0.3,
)  # fmt: skip
POLICIES = {"kept": KEPT, "random": RANDOM}
N, STEPS, RATE, TEMPERATURE = 64, 200, 2e-3, 0.2
SEEDS = 3


def fit(model: ContrastiveModel, images: Tensor, policy: augment.Policy, seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    opt = torch.optim.Adam(model.parameters(), lr=RATE)
    for _ in range(STEPS):
        x = images[torch.randint(len(images), (N,), generator=draw)]
        ids = torch.zeros(2 * N, dtype=torch.long)
        views = augment.apply(torch.cat([x, x]), augment.sample((policy,), ids, draw))
        z0, z1 = model(views.contiguous(memory_format=torch.channels_last))[1].chunk(2)
        loss = losses.nt_xent(z0, z1, TEMPERATURE)
        opt.zero_grad()
        loss.backward()
        opt.step()


@torch.no_grad()
def knn(model: ContrastiveModel | None, bank: ImageSet, test: ImageSet, grey: bool = False) -> dict:
    """kNN accuracy (k = 10, cosine) of clean images in h and z; of the pixels without a model."""

    def floats(images: Tensor) -> Tensor:
        x = images.float() / 255
        x = x.mean(1, keepdim=True).expand(-1, 3, -1, -1) if grey else x
        return x.contiguous(memory_format=torch.channels_last)

    both = floats(bank.images), floats(test.images)
    flat = [x.flatten(1) for x in both]
    spaces = {"as they are": flat, "centred": [x - flat[0].mean(0) for x in flat]}
    if model is not None:
        twin = copy.deepcopy(model)
        norm.precise_bn(twin.encoder, both[0].split(500))
        h = [twin.encoder.eval()(x) for x in both]
        centre = h[0].mean(0)  # cosines see where zero is: does moving it help as much as training?
        spaces = {"h": h, "z": [twin.head(x) for x in h], "h, centred": [x - centre for x in h]}
    return {
        name: metrics.knn_accuracy(a, bank.labels, b, test.labels, k=10, temperature=None)
        for name, (a, b) in spaces.items()
    }


def main() -> None:
    clock = started()
    train_set, test = (data.load("shapes", split, "cpu") for split in ("train", "test"))
    rows = torch.randperm(len(train_set), generator=torch.Generator().manual_seed(0))
    bank = train_set.subset(rows[:3_000])
    untrained = [seeded(s, "two_conv_strided") for s in range(SEEDS)]
    baselines = [
        {"what": "pixels", **knn(None, bank, test)},
        {"what": "grey pixels", **knn(None, bank, test, grey=True)},
        *({"what": "untrained", "seed": s, **knn(m, bank, test)} for s, m in enumerate(untrained)),
        {"what": "untrained, grey images", "seed": 0, **knn(untrained[0], bank, test, grey=True)},
    ]
    print(baselines, flush=True)
    runs = []
    for seed in range(SEEDS):
        for name, policy in POLICIES.items():
            model = seeded(seed, "two_conv_strided").to(memory_format=torch.channels_last)
            fit(model, train_set.images, policy, seed)
            runs.append({"colours": name, "seed": seed, **knn(model, bank, test)})
            print(runs[-1], flush=True)
    found = {"data": "shapes", "images_per_step": N, "steps": STEPS, "temperature": TEMPERATURE}
    found |= {"lr": RATE, "test_images": len(test)}
    finish(clock, "simclr_colours", {**found, "baselines": baselines, "runs": runs})


if __name__ == "__main__":
    main()
