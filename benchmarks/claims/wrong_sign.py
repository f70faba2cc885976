"""Chapter 6: where does the wrong sign lead, and does that depend on the seed?

Trains the chapter's network on L and on -L with both policies, eight seeds each, and looks where
200 held-out images end up: their two views each are 400 unit vectors. ``axis`` is the largest
eigenvalue of their mean outer product, 1 if all lie on one line through zero; ``minor`` the share
of views on its emptier side, and ``parted`` the share of images whose two views lie on different
sides. So one point has axis 1 and minor 0, and two opposite points have axis 1 and minor above 0.

    python benchmarks/claims/wrong_sign.py     # a minute and a half of one core
"""

from __future__ import annotations

import copy

import torch
from claims import finish, started
from simclr_colours import POLICIES, RATE, TEMPERATURE, N
from torch import Tensor
from torch.nn import functional

from contrastive_tutorial import augment, data, losses, metrics, norm
from contrastive_tutorial.data import ImageSet
from contrastive_tutorial.train import ContrastiveModel, seeded

SEEDS, HELD_OUT = 8, 200
LOOKS = {1: (0, 40), -1: (40, 100)}  # steps, by the sign of the loss


def views(images: Tensor, policy: augment.Policy, draw: torch.Generator) -> Tensor:
    ids = torch.zeros(2 * len(images), dtype=torch.long)
    both = augment.apply(torch.cat([images, images]), augment.sample((policy,), ids, draw))
    return both.contiguous(memory_format=torch.channels_last)


def floats(images: Tensor) -> Tensor:
    return (images.float() / 255).contiguous(memory_format=torch.channels_last)


def sides(z: Tensor) -> dict[str, float]:
    """Of views ``(2N, D)``, first before second: do they lie on one line, and on which side?"""
    unit = functional.normalize(z.double(), dim=1)
    values, axes = torch.linalg.eigh(unit.T @ unit / len(unit))
    positive = unit @ axes[:, -1] > 0
    share = float(positive.double().mean())
    first, second = positive.chunk(2)
    return {
        "axis": float(values[-1]),
        "minor": min(share, 1 - share),
        "parted": float((first != second).double().mean()),
    }


@torch.no_grad()
def look(
    model: ContrastiveModel, policy: augment.Policy, images: Tensor, bank: ImageSet, test: ImageSet
) -> dict[str, float]:
    """As the chapter looks: statistics of clean images, views that are always the same."""
    twin = copy.deepcopy(model)
    norm.precise_bn(twin.encoder, floats(bank.images).split(500))
    twin.eval()
    z = twin.head(twin.encoder(views(images, policy, torch.Generator().manual_seed(9))))
    pair = z.chunk(2)
    h = [twin.encoder(floats(part.images)) for part in (bank, test)]
    return {
        "loss": float(losses.nt_xent(*pair, TEMPERATURE)),
        "alignment": metrics.alignment(*pair),
        "uniformity": metrics.uniformity(z),
        "knn": metrics.knn_accuracy(h[0], bank.labels, h[1], test.labels, k=10, temperature=None),
        **sides(z),
    }


def main() -> None:
    clock = started()
    train_set, val_set, test_set = (
        data.load("shapes", split, "cpu") for split in ("train", "val", "test")
    )
    shuffle = torch.Generator().manual_seed(1)
    bank, test = (
        part.subset(torch.randperm(len(part), generator=shuffle)[:2_000])
        for part in (train_set, test_set)
    )
    runs = []
    for seed in range(SEEDS):
        for name, policy in POLICIES.items():
            for sign, looks in LOOKS.items():
                model = seeded(seed, "two_conv_strided").to(memory_format=torch.channels_last)
                opt = torch.optim.Adam(model.parameters(), lr=RATE)
                draw = torch.Generator().manual_seed(seed)
                for step in range(looks[-1] + 1):
                    if step in looks:
                        found = look(model, policy, val_set.images[:HELD_OUT], bank, test)
                        runs.append(
                            {"colours": name, "sign": sign, "seed": seed, "step": step, **found}
                        )
                        print(runs[-1], flush=True)
                    x = train_set.images[torch.randint(len(train_set), (N,), generator=draw)]
                    z0, z1 = model(views(x, policy, draw))[1].chunk(2)
                    opt.zero_grad()
                    (sign * losses.nt_xent(z0, z1, TEMPERATURE)).backward()
                    opt.step()
    settings = {"data": "shapes", "images_per_step": N, "temperature": TEMPERATURE, "lr": RATE}
    finish(clock, "wrong_sign", {**settings, "held_out_images": HELD_OUT, "runs": runs})


if __name__ == "__main__":
    main()
