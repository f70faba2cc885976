"""Chapter 3's conclusions, varied: when batch-hard mining collapses, and what a loss from views is
worth beside doing nothing.

Varied: mining, learning rate, seed, distance, unit length, corner of the hinge, warm start, steps;
for views, recipe, loss and temperature. Untrained networks have *measured* statistics, and
raw pixels stand beside them. `python benchmarks/claims/triplets.py` prints the note's table.
"""

from __future__ import annotations

import argparse

import torch
import torch.nn.functional as F
from views import BANK, RECIPES, TEST, knn, row, two_views

from contrastive_tutorial import data, losses
from contrastive_tutorial.train import encoders

MARGIN, BATCH = 0.2, 100
MINING = {
    "batch-all": losses.batch_all_triplet_loss,
    "batch-hard": losses.batch_hard_triplet_loss,
    "semi-hard": losses.semi_hard_triplet_loss,
}


def soft_corner(z, labels, distance="squared"):
    """Batch-hard triplets whose hinge has no corner and no margin."""
    far = torch.cdist(z, z) ** (2 if distance == "squared" else 1)
    same = labels[:, None] == labels
    hardest = far.masked_fill(~same, -torch.inf).amax(1) - far.masked_fill(same, torch.inf).amin(1)
    return F.softplus(hardest).mean()


def mine(train, mining, lr, seed=0, steps=120, unit=True, distance="squared", model=None):
    """(model, share of the first spread that is left, loss at the end)."""
    generator = torch.Generator().manual_seed(seed)
    model = model or encoders.seeded(seed, "two_conv_strided")
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    spread, last = [], []
    for _ in range(steps):
        rows = torch.randint(len(train), (BATCH,), generator=generator)
        z = model(train.images[rows].float() / 255)[1]
        z = F.normalize(z, dim=1) if unit else z
        if mining == "soft corner":
            loss = soft_corner(z, train.labels[rows], distance)
        else:
            loss = MINING[mining](z, train.labels[rows], MARGIN, distance=distance)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        spread.append(float(torch.cdist(z.detach(), z.detach()).mean()))
        last.append(float(loss.detach()))
    return model, sum(spread[-10:]) / 10 / spread[0], sum(last[-10:]) / 10


def from_views(train, policy, loss_of, lr, seed, steps=200):
    generator = torch.Generator().manual_seed(seed)
    model = encoders.seeded(seed, "two_conv_strided")
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    for _ in range(steps):
        rows = torch.randint(len(train), (BATCH,), generator=generator)
        z = F.normalize(model(two_views(train.images[rows], policy, generator))[1], dim=1)
        loss = loss_of(z)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    seeds = range(parser.parse_args().seeds)
    train = data.load("shapes", "train")
    bank = train.subset(torch.arange(0, len(train), len(train) // BANK))
    test = data.load("shapes", "test").subset(range(TEST))
    print("raw pixels:", f"{knn(None, bank, test):.3f}")
    plain = [encoders.seeded(s, "two_conv_strided") for s in seeds]
    for of in ("h", "z"):
        print(f"untrained {of}:", row([knn(m, bank, test, of) for m in plain]), flush=True)

    changes = [{"mining": m, "lr": lr} for lr in (1e-3, 1e-2) for m in MINING]
    hard = {"mining": "batch-hard", "lr": 1e-3}
    changes += [
        {**hard, "lr": 1e-4}, {**hard, "unit": False}, {**hard, "distance": "euclidean"},
        {**hard, "lr": 1e-4, "distance": "euclidean"}, {**hard, "lr": 3e-3},
        {"mining": "soft corner", "lr": 1e-3},
        {"mining": "soft corner", "lr": 1e-3, "distance": "euclidean"},
        {**hard, "steps": 500},
    ]  # fmt: skip
    for change in changes:
        runs = [mine(train, seed=s, **change) for s in seeds]
        print(change, "| spread left", row([r[1] for r in runs]), "| loss",
              row([r[2] for r in runs]), "| kNN z", row([knn(r[0], bank, test, "z") for r in runs]),
              flush=True)  # fmt: skip
    warm = [mine(train, "batch-hard", 1e-3, s, model=mine(train, "semi-hard", 1e-3, s)[0])
            for s in seeds]  # fmt: skip
    print("batch-hard after 120 semi-hard steps | spread left", row([r[1] for r in warm]),
          "| kNN z", row([knn(r[0], bank, test, "z") for r in warm]), flush=True)  # fmt: skip

    own = torch.arange(BATCH).repeat(2)
    contestants = {
        "batch-hard": lambda z: MINING["batch-hard"](z, own, MARGIN, distance="squared"),
        "semi-hard": lambda z: MINING["semi-hard"](z, own, MARGIN, distance="squared"),
        "NT-Xent 0.5": lambda z: losses.nt_xent(z[:BATCH], z[BATCH:], 0.5),
        "NT-Xent 0.2": lambda z: losses.nt_xent(z[:BATCH], z[BATCH:], 0.2),
        "NT-Xent 0.05": lambda z: losses.nt_xent(z[:BATCH], z[BATCH:], 0.05),
    }
    for recipe in ("crop + colour", "crop + mild colour"):
        for name, loss_of in contestants.items():
            models = [from_views(train, RECIPES[recipe], loss_of, 3e-3, s) for s in seeds]
            print(f"views, {recipe}, {name} | kNN h", row([knn(m, bank, test) for m in models]),
                  "| z", row([knn(m, bank, test, "z") for m in models]), flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
