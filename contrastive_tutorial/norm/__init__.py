"""Normalisation: grouped Batch Normalization, Batch Renormalization, and conversion by name.

Enters: activations ``(N, C)`` or ``(N, C, H, W)`` whose rows are ordered by subset, or come with
the subset of each (:func:`domains`); whole models.
Leaves: normalised activations; models whose BN layers are of another kind, or evaluate with other
statistics (mean, pooled, reestimated, one branch, ensemble, test batch).
Never: drops rows of a batch that does not divide, counts a recomputed forward twice, or leaves a
model half converted unless told to.
"""

from contrastive_tutorial.norm.audit import Audit, audit
from contrastive_tutorial.norm.convert import KINDS, NoNorm, PlainGroupNorm, convert_norm
from contrastive_tutorial.norm.grouped import GroupedBatchNorm
from contrastive_tutorial.norm.kernels import Groups, grouped_normalize
from contrastive_tutorial.norm.layers import (
    GhostBatchNorm1d,
    GhostBatchNorm2d,
    SplitBatchNorm1d,
    SplitBatchNorm2d,
    SubsetAffineBatchNorm1d,
    SubsetAffineBatchNorm2d,
)
from contrastive_tutorial.norm.precise import precise_bn, reestimate, require_measurable
from contrastive_tutorial.norm.renorm import BatchRenorm1d, BatchRenorm2d
from contrastive_tutorial.norm.statistics import (
    EVALUATION_STATISTICS,
    domains,
    evaluation_statistics,
    num_branches,
    untouched,
)
from contrastive_tutorial.norm.targets import audit_target

__all__ = [
    "EVALUATION_STATISTICS",
    "KINDS",
    "Audit",
    "BatchRenorm1d",
    "BatchRenorm2d",
    "GhostBatchNorm1d",
    "GhostBatchNorm2d",
    "GroupedBatchNorm",
    "Groups",
    "NoNorm",
    "PlainGroupNorm",
    "SplitBatchNorm1d",
    "SplitBatchNorm2d",
    "SubsetAffineBatchNorm1d",
    "SubsetAffineBatchNorm2d",
    "audit",
    "audit_target",
    "convert_norm",
    "domains",
    "evaluation_statistics",
    "grouped_normalize",
    "num_branches",
    "precise_bn",
    "reestimate",
    "require_measurable",
    "untouched",
]
