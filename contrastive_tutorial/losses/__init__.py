"""Losses: KL divergence, triplet loss, InfoNCE and SimCLR's NT-Xent.

Enters: tensors (embeddings, labels, parameters of distributions), on any device.
Leaves: scalars or values of one entry each, differentiable once or twice as each docstring says.
Never: keeps state, draws random numbers, reduces over processes, or returns NaN in silence.
"""

from contrastive_tutorial.losses.directions import unit_rows
from contrastive_tutorial.losses.kl import (
    KLTerms,
    kl_categorical,
    kl_diagonal_normal,
    kl_multivariate_normal,
    kl_multivariate_normal_terms,
    kl_normal,
    kl_normal_terms,
)
from contrastive_tutorial.losses.kl_fit import KLFit, fit_kl, gaussian_mixture
from contrastive_tutorial.losses.mining import (
    batch_all_triplet_loss,
    batch_hard_triplet_loss,
    semi_hard_triplet_loss,
)
from contrastive_tutorial.losses.ntxent import info_nce, nt_xent, nt_xent_floor
from contrastive_tutorial.losses.triplet import TripletKind, triplet_kind, triplet_loss

__all__ = [
    "KLFit",
    "KLTerms",
    "TripletKind",
    "batch_all_triplet_loss",
    "batch_hard_triplet_loss",
    "fit_kl",
    "gaussian_mixture",
    "info_nce",
    "kl_categorical",
    "kl_diagonal_normal",
    "kl_multivariate_normal",
    "kl_multivariate_normal_terms",
    "kl_normal",
    "kl_normal_terms",
    "nt_xent",
    "nt_xent_floor",
    "semi_hard_triplet_loss",
    "triplet_kind",
    "triplet_loss",
    "unit_rows",
]
