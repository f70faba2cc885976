"""Every metric of one trained model: what a record says about a run."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from contrastive_tutorial import augment, metrics, norm
from contrastive_tutorial.augment import DEFAULT_POLICY, POLICIES
from contrastive_tutorial.data import ImageSet, SubsetBatches, partition
from contrastive_tutorial.study.cells import Cell, Preset
from contrastive_tutorial.study.diagnostics import (
    ALONG,
    PROBE_IMAGES,
    cluster_protocols,
    policy_probes,
)
from contrastive_tutorial.study.scoring import (
    NEIGHBOURS,
    Forward,
    Scores,
    downstream,
    features,
    features_under,
    headline_statistics,
    sample,
    shuffled,
    to_float,
    training_views,
)
from contrastive_tutorial.study.views import (
    Layout,
    contrastive_loss,
    policies,
    policy_ids,
    project,
)
from contrastive_tutorial.train import ContrastiveModel, step_seed, supports_bf16

SHOWN_IMAGES = 2_000
_CLEAN_ALONG = 8  # batches that its statistics come from, in place of twenty


class Evaluator:
    """Scores checkpoints of one cell on one data set.

    Args:
        cell, preset: what was trained.
        sets: train, validation (for the policy probe) and test images; nothing is fitted on the
            last.
        subset_ids: int64 ``(N,)`` subset of every training image.
        num_subsets: K.
        batches, order: as in training; k-means, probes and augmentation draw by their seed.
    """

    def __init__(
        self,
        cell: Cell,
        preset: Preset,
        sets: Sequence[ImageSet],
        subset_ids: Tensor,
        num_subsets: int,
        batches: SubsetBatches,
        order: Layout,
    ):
        self.cell, self.preset, self.seed = cell, preset, batches.seed
        self.train, self.val, self.test = sets
        self.subset_ids, self.num_subsets = subset_ids, num_subsets
        self.batches, self.order = batches, order
        self.labelled = self.train.labelled and self.test.labelled
        self.headline = headline_statistics(cell, preset)
        # A fixed, class-balanced sample: the archive and the generator store images by class.
        stride = sample(len(self.train), preset.bank)
        some = len(stride) < len(self.train)  # all of them need no copy
        self.bank_images = self.train.images[stride] if some else self.train.images
        self.bank_labels = self.train.labels[stride] if some else self.train.labels

    def __call__(self, model: ContrastiveModel, with_arrays: bool = False) -> Scores:
        """Score ``model``, whose running statistics are first recomputed (precise BN)."""
        scored = list(self._views(self.preset.held_out("scored")))
        found, extra = self._training_mode(model, scored)
        self.make_exact(model.encoder)
        found["contrastive_eval"] = self._contrastive(model, scored)
        del scored
        self.reestimate(model.encoder)
        with norm.evaluation_statistics(model.encoder, self.headline) as forward:
            bank, test = features(forward, self.bank_images), features(forward, self.test.images)
            if _collapsed(test):
                extra["collapsed"] = 1.0
                warnings.warn(
                    f"{self.cell.name}: collapsed: all test images have the same features, so "
                    "clusters and neighbours mean nothing", stacklevel=2,
                )  # fmt: skip
            if self.labelled:
                found |= downstream(
                    bank, self.bank_labels, test, self.test.labels, len(self.test.class_names),
                    self.seed, self.preset.kmeans_restarts,
                )  # fmt: skip
            found |= self._projections(forward, model, bank)
            probes, own = policy_probes(
                self.cell, model, forward, self.val.images[sample(len(self.val), PROBE_IMAGES)],
                self.num_subsets, self.seed, self._generator("policy probes"),
            )  # fmt: skip
            if self.cell.score_protocols and self.labelled:
                extra |= self._protocols(model, bank, test)
        found |= probes
        extra |= own
        evaluations = {}
        if self.labelled or self._has_own_branches:
            menu = self._menu(model.encoder, bank, test)
            if self.labelled:
                evaluations = {how: self._menu_entry(*pair) for how, pair in menu.items()}
            if self._has_own_branches:
                extra |= self._between_branches(
                    model, [menu[f"branch:{k}"][1] for k in range(self.num_subsets)]
                )
        arrays = self._arrays(model, bank, test) if with_arrays else {}
        return Scores(self.headline, found, evaluations, extra, arrays)

    @property
    def _has_own_branches(self) -> bool:
        return self.cell.has_branches and self.num_subsets > 1

    # -- pieces ---------------------------------------------------------------------------------

    def _views(self, steps: range) -> Iterator[Tensor]:
        return training_views(
            self.cell, self.order, self.batches, self.train.images, self.subset_ids, steps,
            self.seed,
        )  # fmt: skip

    def _generator(self, purpose: str) -> torch.Generator:
        """One for each use of random numbers, on the device of the images."""
        generator = torch.Generator(device=self.train.images.device)
        return generator.manual_seed(step_seed(self.seed, purpose))

    def _clean_batches(self) -> Iterator[Tensor]:
        for step in self.preset.held_out("clean"):
            index = self.batches.indices(step).to(self.train.images.device)
            yield to_float(self.train.images[index])

    def _choices(self) -> list[str]:
        """Every choice of statistics that makes a difference to this cell, the headline last."""
        if self.cell.norm in ("gn", "none"):
            menu = ["running"]
        elif not self.cell.has_branches:
            menu = ["running", "reestimated", "test-batch"]
        else:
            branches = [f"branch:{k}" for k in range(self.num_subsets)]
            menu = ["mean", "pooled", "reestimated", "test-batch", "ensemble", *branches]
        return [*(how for how in menu if how != self.headline), self.headline]

    def _menu(
        self, encoder: nn.Module, bank: Tensor, test: Tensor
    ) -> dict[str, tuple[Tensor, Tensor]]:
        """Features of a small bank and of some test images under every choice of statistics.

        Those of the headline are there already, in ``bank`` and ``test``.
        """
        *others, headline = self._choices()
        # All branches together make the ensemble, be one of them the headline or not.
        asked = [*others, headline] if headline.startswith("branch:") else others
        rows, test_rows = self._menu_rows()
        pairs = []
        for images, index, known in (
            (self.bank_images, rows, bank), (self.test.images, test_rows, test)
        ):  # fmt: skip
            # Shuffled for the statistics of a batch: to the others the order is all the same.
            some = images[index]
            found = features_under(encoder, asked, some, shuffled("test-batch", some, self.seed))
            pairs.append(found | {headline: known[index]})
        return {how: (pairs[0][how], pairs[1][how]) for how in pairs[0]}

    def _menu_rows(self) -> tuple[Tensor, Tensor]:
        return (
            sample(len(self.bank_images), self.preset.menu_bank),
            sample(len(self.test), self.preset.menu_bank // 2),
        )

    def _menu_entry(self, bank: Tensor, test: Tensor) -> dict[str, float]:
        """kNN and clustering of one checkpoint under one choice of statistics, on a small bank.

        No kNN where fewer than its 200 neighbours can vote.
        """
        index, test_index = self._menu_rows()
        labels, test_labels = self.bank_labels[index], self.test.labels[test_index]
        clusters = metrics.cluster(bank, test, len(self.test.class_names), self.seed, n_init=2)
        found = {"cluster_accuracy": metrics.cluster_accuracy(test_labels, clusters)}
        if len(bank) >= NEIGHBOURS:
            found = {"knn200": metrics.knn_accuracy(bank, labels, test, test_labels)} | found
        return found

    @torch.no_grad()
    def _training_mode(
        self, model: ContrastiveModel, scored: list[Tensor]
    ) -> tuple[dict[str, float], dict[str, float]]:
        """Contrastive accuracy and own-subset neighbours with batch statistics, as in training."""
        twin = copy.deepcopy(model)  # a forward pass in training mode moves the running statistics
        twin.train()
        accuracy, own, losses = [], [], []
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(step_seed(self.seed, "layers in training mode"))
            steps = self.preset.held_out("scored")
            for step, views in zip(steps, scored, strict=True):
                z = project(twin, views, self.order, self.preset.passes).float()
                z0, z1 = self.order.views(z)
                subsets = self.subset_ids[self.batches.indices(step)]
                accuracy.append(metrics.contrastive_accuracy(z0, z1, self.cell.normalize))
                losses.append(
                    float(contrastive_loss(z, self.cell, self.order, self.preset.temperature))
                )
                if self.num_subsets > 1 and self.cell.only_subset is None:
                    own.append(metrics.nearest_negative_same_subset(z0, z1, subsets))
        found = {
            "contrastive_train": float(np.mean(accuracy)),
            "loss_final": float(np.mean(losses)),
        }
        return found, {"nearest_negative_same_subset": float(np.mean(own))} if own else {}

    @torch.no_grad()
    def _contrastive(self, model: ContrastiveModel, scored: list[Tensor]) -> float:
        """Contrastive accuracy of training views in evaluation mode, each through its branch."""
        accuracy, how = [], "oracle" if self.cell.has_branches else "running"
        with norm.evaluation_statistics(model.encoder, how) as forward:
            for views in scored:
                z0, z1 = self.order.views(model.head(forward(views)).float())
                accuracy.append(metrics.contrastive_accuracy(z0, z1, self.cell.normalize))
        return float(np.mean(accuracy))

    @torch.no_grad()
    def _projections(
        self, forward: Forward, model: ContrastiveModel, bank: Tensor
    ) -> dict[str, float]:
        """Similarity, alignment and uniformity of z on two default views of test images."""
        generator = self._generator("projections")
        images = self.test.images[sample(len(self.test), SHOWN_IMAGES)]
        ids = torch.zeros(len(images), dtype=torch.int64, device=images.device)
        z = []
        for _ in range(2):
            params = augment.sample((DEFAULT_POLICY,), ids, generator, images.shape[-1])
            h = features(forward, augment.apply(images, params))
            z.append(F.normalize(model.head(h), dim=1))
        similarity = metrics.dot_product_similarity(z[0], z[1])
        return {
            "dot_positive": similarity.positive,
            "dot_negative": similarity.negative,
            "alignment": metrics.alignment(z[0], z[1]),
            "uniformity": metrics.uniformity(
                torch.cat(z), image_ids=torch.arange(len(ids)).repeat(2)
            ),
            "rankme": metrics.rankme(bank[sample(len(bank), 25_600)]),
        }

    @torch.no_grad()
    def _protocols(self, model: ContrastiveModel, bank: Tensor, test: Tensor) -> dict[str, float]:
        """Every clustering protocol on h and on z, on the small bank: 160 k-means fits."""
        index = sample(len(bank), self.preset.menu_bank)
        views = {"h": (bank[index], test), "z": (model.head(bank[index]), model.head(test))}
        return cluster_protocols(views, self.test.labels, len(self.test.class_names))

    def quick_cluster_accuracy(self, encoder: nn.Module) -> float:
        """Cluster accuracy under the encoder's own running statistics, on the small bank."""
        rows, test_rows = self._menu_rows()
        with norm.evaluation_statistics(encoder, "running") as forward:
            bank = features(forward, self.bank_images[rows])
            test = features(forward, self.test.images[test_rows])
        return self._menu_entry(bank, test)["cluster_accuracy"]

    def quick_knn(self, model: ContrastiveModel) -> float:
        """kNN accuracy (k = 10, cosine) under the headline statistics as they are, whole bank."""
        device = self.test.images.device
        bf16 = supports_bf16(device)
        if self.headline == "reestimated":
            self.reestimate(model.encoder)
        with (
            norm.evaluation_statistics(model.encoder, self.headline) as forward,
            torch.autocast(device.type, torch.bfloat16, enabled=bf16),
        ):
            bank, test = features(forward, self.bank_images), features(forward, self.test.images)
        return metrics.knn_accuracy(  # in float32: bfloat16 has too many ties
            bank, self.bank_labels, test, self.test.labels, k=10, temperature=None
        )

    def along(self, encoder: nn.Module) -> list[float]:
        """The scores of :data:`ALONG`, of validation images, on the small bank.

        Under the headline statistics, measured anew on a copy: the encoder goes on training.
        """
        encoder = copy.deepcopy(encoder)
        if self.headline == "reestimated":
            norm.reestimate(encoder, islice(self._clean_batches(), _CLEAN_ALONG))
        else:
            self.make_exact(encoder)
        rows, _ = self._menu_rows()
        with norm.evaluation_statistics(encoder, self.headline) as forward:
            bank, val = (features(forward, x) for x in (self.bank_images[rows], self.val.images))
        found = downstream(
            bank, self.bank_labels[rows], val, self.val.labels, len(self.test.class_names),
            self.seed, self.preset.kmeans_restarts,
        )  # fmt: skip
        return [found[name] for name in ALONG]

    def make_exact(self, encoder: nn.Module) -> None:
        """Precise BN: running statistics measured on batches as training makes them."""
        norm.precise_bn(encoder, self._views(self.preset.held_out("precise")))

    def reestimate(self, encoder: nn.Module) -> None:
        """Statistics of clean training images, for ``"reestimated"``."""
        norm.reestimate(encoder, self._clean_batches())

    @torch.no_grad()
    def _between_branches(self, model: ContrastiveModel, through: list[Tensor]) -> dict[str, float]:
        """Do branches place one image alike, and do clusters follow subsets instead of classes?

        ``cross_branch_top1``: share of clean test images that, sent through branch i, find
        themselves sent through branch j as nearest neighbour, mean over ordered pairs.
        ``nmi_cluster_subset``: NMI of k-means clusters and subsets over training images, each in
        its own policy and through its own branch.
        """
        index = sample(len(self.train), self.preset.menu_bank)
        subsets = self.subset_ids[index]
        generator = self._generator("between branches")
        ids, _ = policy_ids(self.cell, subsets, generator)
        images = self.train.images[index]
        views = augment.apply(
            images, augment.sample(policies(self.cell), ids, generator, images.shape[-1])
        )
        some = sample(len(through[0]), PROBE_IMAGES)
        through, own = [rows[some] for rows in through], []
        for k in range(self.num_subsets):
            with norm.evaluation_statistics(model.encoder, f"branch:{k}") as forward:
                own.append(features(forward, views[subsets == k]))
        pairs = [
            metrics.retrieval_top1(through[i], through[j])
            for i in range(self.num_subsets)
            for j in range(self.num_subsets)
            if i != j
        ]
        found = {"cross_branch_top1": float(np.mean(pairs))}
        if not self.labelled:  # nobody knows how many clusters
            return found
        members = torch.cat([subsets[subsets == k] for k in range(self.num_subsets)])
        everything = torch.cat(own)
        clusters = metrics.cluster(
            everything, everything, len(self.test.class_names), self.seed, n_init=2
        )
        return found | {"nmi_cluster_subset": metrics.nmi(members, clusters)}

    @torch.no_grad()
    def _arrays(self, model: ContrastiveModel, bank: Tensor, test: Tensor) -> dict[str, np.ndarray]:
        """Compact features of the shown test images: clean, and in their subset's policy."""
        from contrastive_tutorial.study.embedding import reduce

        images = self.test.images[sample(len(self.test), SHOWN_IMAGES)]
        labels = self.test.labels[sample(len(self.test), SHOWN_IMAGES)]
        subsets = partition(labels, self.num_subsets, seed=0)
        clean = test[sample(len(self.test), SHOWN_IMAGES)]
        # Cells with one policy for all are shown under the ten too: panels then compare like with
        # like, and what they show is what the network does and not what it is given.
        table = policies(self.cell)
        table = table if len(table) > 1 else POLICIES
        generator = self._generator("shown images")
        views = augment.apply(
            images, augment.sample(table, subsets % len(table), generator, images.shape[-1])
        )
        trained = torch.empty_like(clean)
        for k in range(self.num_subsets):
            rows = subsets == k
            how = f"branch:{k}" if self.cell.has_branches else self.headline
            with norm.evaluation_statistics(model.encoder, how) as forward:
                trained[rows] = features(forward, views[rows])
        arrays = {
            "labels": labels.cpu().numpy().astype(np.int16),
            "subsets": subsets.cpu().numpy().astype(np.int16),
            "features": reduce(F.normalize(clean, dim=1).cpu().numpy(), 32),
            "features_subset": reduce(F.normalize(trained, dim=1).cpu().numpy(), 32),
        }
        if self.test.factors:
            index = sample(len(self.test), SHOWN_IMAGES)
            for name, values in self.test.factors.items():
                if values.ndim == 1:
                    arrays[f"factor_{name}"] = values[index].cpu().numpy()
        return arrays


def _collapsed(features: Tensor) -> bool:
    """Whether all rows ``(N, D)`` point in one direction, as far as float32 tells."""
    unit = F.normalize(features.float(), dim=1)
    return float((unit - unit[0]).abs().max()) < 1e-5
