"""For tests of augmentation: generators from a seed, and parameters of views drawn with them."""

import torch

from contrastive_tutorial.augment import Params, Policy, sample


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(policy: Policy, count: int = 4000, seed: int = 0, **how: int) -> Params:
    """Of so many views, all of one policy."""
    return sample([policy], torch.zeros(count, dtype=torch.int64), seeded(seed), **how)
