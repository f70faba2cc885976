"""The loss functions of the book, under one name.

* :mod:`~contrastive_tutorial.kl`: how far one distribution is from another;
* :mod:`~contrastive_tutorial.triplet`: triplet loss and its mining;
* :mod:`~contrastive_tutorial.ntxent`: InfoNCE, N-pair and SimCLR's NT-Xent.

All are pure functions of tensors: no state, no reduction across processes, no random numbers.
"""

from contrastive_tutorial.ntxent import info_nce, n_pair_loss, nt_xent, nt_xent_floor

__all__ = ["info_nce", "n_pair_loss", "nt_xent", "nt_xent_floor"]
