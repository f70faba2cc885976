"""Augmentation: recipes, parameters for each view, and the batched arithmetic that applies them.

Enters: uint8 or floating point images ``(B, 3, S, S)``, a table of policies, a generator.
Leaves: parameters that can be looked at and used again; float32 views in [0, 1], on the device of
the images.
Never: loops over images in Python, reads a file, or lets gradients flow through.
"""

from contrastive_tutorial.augment.arithmetic import apply
from contrastive_tutorial.augment.params import JITTER, STEPS, Params, describe, sample
from contrastive_tutorial.augment.policies import (
    DEFAULT_POLICY,
    JITTERED_POLICIES,
    POLICIES,
    SHIFTED_POLICIES,
    Policy,
    policy_by_name,
)
from contrastive_tutorial.augment.views import Augment, two_views

__all__ = [
    "DEFAULT_POLICY",
    "JITTER",
    "JITTERED_POLICIES",
    "POLICIES",
    "SHIFTED_POLICIES",
    "STEPS",
    "Augment",
    "Params",
    "Policy",
    "apply",
    "describe",
    "policy_by_name",
    "sample",
    "two_views",
]
