"""The loss functions of the book, under one name.

* :mod:`~contrastive_tutorial.kl`: how far one distribution is from another, and
  :mod:`~contrastive_tutorial.kl_fit`: fitting one to the other by gradient;
* :mod:`~contrastive_tutorial.triplet`: triplet loss and its mining;
* :mod:`~contrastive_tutorial.ntxent`: InfoNCE, N-pair and SimCLR's NT-Xent.

All are pure functions of tensors: no state, no reduction across processes, no random numbers.
"""

from contrastive_tutorial.kl import (
    KLTerms,
    kl_categorical,
    kl_diagonal_normal,
    kl_diagonal_normal_terms,
    kl_multivariate_normal,
    kl_multivariate_normal_terms,
    kl_normal,
    kl_normal_terms,
)
from contrastive_tutorial.kl_fit import KLFit, fit_kl, gaussian_mixture, kl_mixture
from contrastive_tutorial.ntxent import info_nce, n_pair_loss, nt_xent, nt_xent_floor
from contrastive_tutorial.triplet import (
    TripletKind,
    batch_all_triplet_loss,
    batch_hard_triplet_loss,
    semi_hard_triplet_loss,
    triplet_kind,
    triplet_loss,
)

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
    "kl_diagonal_normal_terms",
    "kl_mixture",
    "kl_multivariate_normal",
    "kl_multivariate_normal_terms",
    "kl_normal",
    "kl_normal_terms",
    "n_pair_loss",
    "nt_xent",
    "nt_xent_floor",
    "semi_hard_triplet_loss",
    "triplet_kind",
    "triplet_loss",
]
