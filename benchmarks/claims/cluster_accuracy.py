"""Chapter 8: why cluster accuracy stands still while kNN rises, and what sees more.

Trains the baseline on CIFAR-10 for 300 and for 900 steps, or takes encoders that runs left behind,
and clusters the same features in several forms: as they are, as directions (the book's form), each
column standardised, white along the leading principal components, and with the leading components
left out. Then with more clusters than classes.

    python benchmarks/claims/cluster_accuracy.py --data cifar10
    python benchmarks/claims/cluster_accuracy.py --data cifar10 --weights SHORT.safetensors LONG...
"""

from __future__ import annotations

import argparse
from typing import Any

import torch
from claims import finish, started
from torch import Tensor

from contrastive_tutorial import metrics, norm
from contrastive_tutorial.data import load_splits
from contrastive_tutorial.losses import unit_rows
from contrastive_tutorial.study import Experiment
from contrastive_tutorial.train import load_encoder

STARTS = 10
MANY = (20, 50, 100)


@torch.no_grad()
def encoded(encoder: torch.nn.Module, images: Tensor) -> Tensor:
    with norm.evaluation_statistics(encoder, "running") as forward:
        return torch.cat([forward(part.float() / 255) for part in images.split(500)])


def spectrum(bank: Tensor) -> tuple[Tensor, Tensor]:
    """Variances along the principal components of directions, largest first, and the axes."""
    unit = unit_rows(bank)
    variances, axes = torch.linalg.eigh(torch.cov(unit.T.double()))
    return variances.flip(0), axes.flip(1)


def forms(bank: Tensor, test: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """The same features in every form that is clustered."""
    variances, axes = spectrum(bank)
    unit = unit_rows(bank), unit_rows(test)
    centre, spread = unit[0].mean(0), bank.std(0).clamp_min(1e-6)
    scores = [((x - centre).double() @ axes).float() for x in unit]
    found = {
        "as they are": (bank, test),
        "directions": unit,
        "directions, centred": tuple(unit_rows(x - centre) for x in unit),
        "standardised": tuple((x - bank.mean(0)) / spread for x in (bank, test)),
    }
    for kept in (32, 64):
        scale = variances[:kept].sqrt().float()
        found[f"white, {kept} components"] = tuple(x[:, :kept] / scale for x in scores)
        white = [unit_rows(x[:, :kept] / scale) for x in scores]
        found[f"white, {kept} components, directions"] = white[0], white[1]
    for dropped in (1, 3):
        found[f"without the first {dropped}"] = tuple(unit_rows(x[:, dropped:]) for x in scores)
    return found  # type: ignore[return-value]


def scored(bank: Tensor, test: Tensor, y: Tensor, truth: Tensor) -> dict[str, Any]:
    fits = metrics.cluster_fits(bank, test, 10, n_init=STARTS, normalize=False)
    accuracy = [metrics.cluster_accuracy(truth, ids) for ids in fits]
    return {
        "best": accuracy[0],
        "mean": sum(accuracy) / STARTS,
        "least": min(accuracy),
        "most": max(accuracy),
        "nmi": sum(metrics.nmi(truth, ids) for ids in fits) / STARTS,
        "knn10": metrics.knn_accuracy(bank, y, test[::4], truth[::4], k=10, temperature=None),
    }


def voted(bank: Tensor, test: Tensor, y: Tensor, truth: Tensor, k: int) -> dict[str, float]:
    """More clusters than classes: each cluster stands for the majority of its training images."""
    both = torch.cat([bank, test])
    found: dict[str, list[float]] = {"vote": [], "hungarian": []}
    for ids in metrics.cluster_fits(bank, both, k, n_init=3, normalize=False):
        own, shown = torch.as_tensor(ids).split([len(bank), len(test)])
        votes = torch.zeros(k, 10).index_put_((own, y), torch.ones(len(y)), accumulate=True)
        found["vote"].append(float((votes.argmax(1)[shown] == truth).double().mean()))
        found["hungarian"].append(metrics.cluster_accuracy(truth, shown))
    return {name: sum(values) / len(values) for name, values in found.items()}


def oracle(bank: Tensor, test: Tensor, y: Tensor, truth: Tensor) -> float:
    """Ten centroids at the means of the classes, which no clustering could know."""
    means = torch.stack([bank[y == c].mean(0) for c in range(10)])
    return float((torch.cdist(test, means).argmin(1) == truth).double().mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="cifar10")
    parser.add_argument("--weights", nargs="*", default=[])
    parser.add_argument("--steps", nargs="*", type=int, default=[300, 900])
    asked = parser.parse_args()
    clock, rows, counts, shared = started(), [], [], []
    train, _, test = load_splits(asked.data)
    for i, steps in enumerate(asked.steps):
        if asked.weights:
            encoder = load_encoder(asked.weights[i])
            bank, query = (encoded(encoder, part.images) for part in (train, test))
        else:
            experiment = Experiment("B0", asked.data, f"cpu+steps={steps}")
            experiment.train(progress=False)
            bank, query = (experiment.features(part) for part in (train, test))
        variances, _ = spectrum(bank)
        probe = metrics.linear_probe(bank, train.labels, query, test.labels)
        share = (variances / variances.sum()).cumsum(0)
        shares = [float(share[i]) for i in (0, 2, 9)]
        print(
            f"{steps} steps: linear probe {probe:.3f}; share of the first component, of three and "
            f"of ten in the variance of directions: {', '.join(f'{s:.2f}' for s in shares)}"
        )
        for form, (b, t) in forms(bank, query).items():
            row = scored(b, t, train.labels, test.labels)
            row["class_means"] = oracle(b, t, train.labels, test.labels)
            rows.append({"steps": steps, "form": form, **row})
            print(
                f"  {form:34} accuracy {row['mean']:.3f} ({row['least']:.3f} to {row['most']:.3f}, "
                f"best by inertia {row['best']:.3f}), NMI {row['nmi']:.3f}, kNN "
                f"{row['knn10']:.3f}, class means {row['class_means']:.3f}",
                flush=True,
            )
        unit = unit_rows(bank), unit_rows(query)
        for k in MANY:
            counts.append({"steps": steps, "k": k, **voted(*unit, train.labels, test.labels, k)})
            print(f"  {k} clusters of directions: vote {counts[-1]['vote']:.3f}", flush=True)
        shared.append({"steps": steps, "linear_probe": probe, "first_1_3_10": shares})
    finish(clock, "cluster_accuracy", {
        "data": train.name, "encoders": shared, "forms": rows, "more_clusters": counts,
    })  # fmt: skip


if __name__ == "__main__":
    main()
