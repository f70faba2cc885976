"""Chapter 2's conclusions, varied: where the two fits end, and how far policies move the moments.

Varied for the fits: start, first width, step size, weights of the bumps. For the policies: images,
seed, weights of the untrained network, number of bins. Prints the table of the chapter's note.
"""

from __future__ import annotations

import math

import torch
from scipy.stats import spearmanr

from contrastive_tutorial import augment, data, losses
from contrastive_tutorial.augment import POLICIES
from contrastive_tutorial.study import first_norm_shift
from contrastive_tutorial.train import encoders

NAMES = [policy.name for policy in POLICIES]


def fits() -> None:
    starts = [-3.0, -2.0, -1.0, -0.3, 0.3, 1.0, 2.0, 3.0]
    for half, weights in ((2.5, [0.4, 0.6]), (2.5, [0.1, 0.9]), (0.8, [0.4, 0.6])):
        target = losses.gaussian_mixture([-half, half], [0.6, 0.6], weights)
        for std, lr, steps in (
            (1.0, 0.15, 120),
            (0.3, 0.15, 120),
            (3.0, 0.15, 120),
            (1.0, 0.02, 900),
        ):
            forward = losses.fit_kl(target, "forward", mean=starts, std=std, steps=steps, lr=lr)
            reverse = losses.fit_kl(target, "reverse", mean=starts, std=std, steps=steps, lr=lr)
            ends = [round(float(m), 1) for m in reverse.mean[-1]]
            near = sum(
                abs(m - math.copysign(half, s)) < 0.2 for m, s in zip(ends, starts, strict=True)
            )
            print(f"bumps {half}, weights {weights}, first width {std}, lr {lr}: forward ends "
                  f"{float(forward.mean[-1].min()):.2f} to {float(forward.mean[-1].max()):.2f} "
                  f"(target mean {float(target.mean):.2f}); reverse {ends}, at the nearest bump "
                  f"{near} of {len(starts)}", flush=True)  # fmt: skip


def views(num_images: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    images = data.load("shapes", "train", num_images=num_images).images
    ids = torch.arange(len(POLICIES)).repeat_interleave(len(images))
    params = augment.sample(POLICIES, ids, torch.Generator().manual_seed(seed))
    return augment.apply(images.repeat(len(POLICIES), 1, 1, 1), params), ids


def moments(found: torch.Tensor) -> torch.Tensor:
    """(10,): sum over channels of KL(policy || weak), by two moments."""
    by_policy = found.unflatten(0, (len(POLICIES), -1)).transpose(1, 2).flatten(2)
    mean, std = by_policy.mean(2), by_policy.std(2)
    return losses.kl_diagonal_normal(mean, std, mean[0].expand_as(mean), std[0].expand_as(std))


def policies() -> None:
    base, ids = views(200, 0)
    first = moments(base)
    print("KL from weak:", {n: round(float(v), 3) for n, v in zip(NAMES, first, strict=True)})
    for num_images, seed in ((200, 1), (200, 2), (800, 0)):
        other = moments(views(num_images, seed)[0])
        print(f"{num_images} images, seed {seed}: rank correlation with the first row "
              f"{spearmanr(first, other).statistic:.2f}", flush=True)  # fmt: skip
    red = base.unflatten(0, (len(POLICIES), -1))[:, :, 0].flatten(1)
    for bins in (8, 16, 24, 64):
        shares = torch.stack([torch.histc(values, bins, 0, 1) for values in red])
        shares = shares / shares.sum(1, keepdim=True)
        infinite = [n for k, n in enumerate(NAMES) if k and math.isinf(
            float(losses.kl_categorical(shares[0], shares[k])))]  # fmt: skip
        print(f"{bins} bins: KL(weak || policy) is infinite for {infinite}", flush=True)
    order = []
    for seed in range(3):
        model = encoders.seeded(seed, "two_conv_strided")
        found = first_norm_shift(model, model.encode, base, ids)
        order.append([found[f"kl_bn1_per_policy/{k}"] for k in range(len(NAMES))])
        values = {n: round(v, 3) for n, v in zip(NAMES, order[-1], strict=True)}
        print(f"first norm layer, weights {seed}:", values, flush=True)
    print("rank correlation between weights:", round(spearmanr(order[0], order[1]).statistic, 2))


if __name__ == "__main__":
    fits()
    policies()
