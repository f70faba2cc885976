"""One cell made ready to train: images, subsets, batches, norm layers, loss.

The runner uses :class:`Experiment` from beginning to end; a chapter uses it piece by piece.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from torch import nn

from contrastive_tutorial import augment, norm
from contrastive_tutorial.data import ImageSet, SubsetBatches, load_splits, partition, require_seed
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.files import on_host
from contrastive_tutorial.records import Record
from contrastive_tutorial.study.cells import DEFINITION, Cell, Preset, resolved
from contrastive_tutorial.study.diagnostics import along_training
from contrastive_tutorial.study.evaluator import Evaluator
from contrastive_tutorial.study.request import Request
from contrastive_tutorial.study.scoring import (
    Scores,
    circumstances,
    features,
    headline_statistics,
    images_used,
    shuffled,
)
from contrastive_tutorial.study.views import (
    Layout,
    contrastive_loss,
    layout,
    make_views,
    policies_hash,
    project,
    require_one_pass,
)
from contrastive_tutorial.train import (
    ContrastiveModel,
    History,
    ProcessGroup,
    TrainConfig,
    adapt_norms,
    compiled,
    content_digest,
    memory,
    resolve_device,
    save_encoder,
    seeded,
    shard,
    sync_buffers,
    train,
)

#: Steps whose image indices travel to a GPU together: 64 x 512 indices are 0.25 MB.
_STEPS_A_COPY = 64


class Experiment:
    """One cell made ready to train: images, subsets, batches, model.

    Args:
        cell: name or :class:`~contrastive_tutorial.study.cells.Cell`; or a
            :class:`~contrastive_tutorial.study.request.Request`, which says all that follows but
            the images.
        images: name or path of a data set, or the three image sets ``(train, val, test)``.
        preset: name or :class:`~contrastive_tutorial.study.cells.Preset`.
        seed: of weights, partition, batches and augmentation, all jointly.
        num_subsets: K.
        device: ``None`` for the best there is.
        encoder: instead of the preset's, one of your own: a module that maps float images
            ``(N, 3, S, S)`` to features ``(N, D)``, of which a copy is trained, or a function that
            makes one, so that the seed decides its weights. Its BN layers become those of the cell.
        group: the processes that train together; see :mod:`contrastive_tutorial.train.processes`.

    Raises:
        InputError: for unknown names, unreadable data, a batch that K does not divide, an encoder
            that gives no features, or processes that cannot share a batch.
    """

    def __init__(
        self,
        cell: str | Cell | Request,
        images: str | Path | tuple[ImageSet, ...] = "shapes",
        preset: str | Preset = "live",
        seed: int = 0,
        num_subsets: int = 10,
        device: str | torch.device | None = None,
        *,
        encoder: nn.Module | Callable[[], nn.Module] | None = None,
        group: ProcessGroup | None = None,
    ):
        batch_norm = "sync"
        if isinstance(cell, Request):
            asked = cell
            cell, preset, device = asked.cell, asked.preset, asked.device
            seed, num_subsets, batch_norm = asked.seed, asked.num_subsets, asked.batch_norm
        self.cell, self.preset = resolved(cell, preset)
        self._encoder = encoder
        require_seed(seed)
        if num_subsets < 1:
            raise InputError(f"num_subsets: expected 1 or more, got {num_subsets}")
        self.seed, self.num_subsets = seed, num_subsets
        self.device = resolve_device(device)
        self.train_set, self.val_set, self.test_set = load_splits(images, self.device)
        subset_ids = partition(self.train_set.labels, num_subsets, seed)
        require_one_pass(self.cell, self.preset.passes)
        self.order: Layout = layout(self.cell, self.preset.batch_size, num_subsets)
        self.batches = SubsetBatches(
            subset_ids, self.preset.batch_size, seed, self.cell.balanced, self.cell.only_subset
        )
        self.subset_ids = subset_ids.to(self.device)
        self.model: ContrastiveModel = self._build_model()
        self._begins: dict[str, object] = {}  # a network of one's own is known by its weights
        if encoder is not None:
            self._begins["weights"] = content_digest(on_host(self.model.state_dict()), {})
        self.group, self.batch_norm = group or ProcessGroup(), batch_norm
        if self.group.size > 1 and (self.cell.early_steps or self.preset.measured):
            raise InputError(
                f"{self.cell.name}: is measured while it trains, which needs the whole batch in "
                "one process; run it without torchrun"
            )
        self.shard = shard(self.order, self.group, self.device)
        # What training moves: the model itself, or its like whose norms know of other processes.
        self.trained = self.model
        if self.group.size > 1:
            self.trained = adapt_norms(copy.deepcopy(self.model), self.shard, batch_norm)  # type: ignore[assignment]
        self._forward: Callable = self.trained
        self._apply: Callable = augment.apply
        if self.preset.compile != "no" and self.device.type == "cuda":
            mode = None if self.preset.compile == "default" else self.preset.compile
            self._forward = compiled(self.trained, mode)
            self._apply = compiled(augment.apply, mode)
        self._index_block: tuple[int, torch.Tensor] | None = None
        self._evaluator_kept: Evaluator | None = None
        self._measured = ""  # digest of the encoder whose running statistics are exact
        self.early: dict[str, float] = {}  # what was measured during training

    def _build_model(self) -> ContrastiveModel:
        size = self.train_set.images.shape[-1]
        model = seeded(self.seed, self._encoder or self.preset.encoder, size)
        if self._encoder is not None and self.cell.norm == "bn":
            norm.require_measurable(model.encoder)  # evaluation will: better to know before
            return self._placed(model)  # as it came: it may have no BN at all
        if self.cell.norm == "ghost":
            # The order of the rows decides who shares a group: the layer must not deal them anew.
            model.encoder = norm.convert_norm(
                model.encoder, "ghost", self.order.groups, grouping="contiguous"
            )
        else:
            # A layer counts its forwards: two a step, if each view has one of its own.
            forwards = self.preset.steps * self.preset.passes
            model.encoder = norm.convert_norm(
                model.encoder, self.cell.norm, self.num_subsets, total_steps=forwards
            )
        return self._placed(model)

    def _placed(self, model: ContrastiveModel) -> ContrastiveModel:
        return model.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def config(self) -> TrainConfig:
        """The preset as the training loop wants it."""
        names = ("steps", "lr", "optimizer", "weight_decay", "warmup", "checkpoint_every")
        values = {name: getattr(self.preset, name) for name in names}
        return TrainConfig(**values, seed=self.seed, bf16=self.preset.bf16(self.device))

    def indices(self, step: int) -> torch.Tensor:
        """int64 ``(N,)`` images of a step, on the device: copied there for many steps at once."""
        if self.device.type == "cpu":
            return self.batches.indices(step)
        block, place = divmod(step, _STEPS_A_COPY)
        if self._index_block is None or self._index_block[0] != block:
            first = block * _STEPS_A_COPY
            steps = [self.batches.indices(first + i) for i in range(_STEPS_A_COPY)]
            table = torch.stack(steps).pin_memory().to(self.device, non_blocking=True)
            self._index_block = block, table
        return self._index_block[1][place]

    def views(self, step: int, generator: torch.Generator) -> torch.Tensor:
        """Both views of every image of a step: float32 ``(2N, 3, 32, 32)``, rows in order.

        With several processes, this process's rows of them.
        """
        index = self.indices(step)
        return make_views(
            self.train_set.images[index], self.subset_ids[index], self.cell, self.order, generator,
            self.shard.rows, self._apply,
        )  # fmt: skip

    def loss(self, step: int, generator: torch.Generator) -> torch.Tensor:
        """The contrastive loss of one step."""
        z = project(
            self._forward, self.views(step, generator), self.shard.order, self.preset.passes
        )
        if self.group.size > 1:
            z = self.group.gather(z.float())
            z = z if self.shard.back is None else z[self.shard.back]
        return contrastive_loss(z, self.cell, self.order, self.preset.temperature)

    def knn(self) -> float:
        """kNN accuracy (k = 10, cosine) of clean test images, as the network stands.

        With the running statistics that training has gathered so far; a final evaluation measures
        them anew.
        """
        sync_buffers(self.trained, self.group)

        def score() -> float:
            if self.trained is not self.model:
                self.model.load_state_dict(self.trained.state_dict())
            if self._evaluator_kept is None:
                self._evaluator_kept = self._evaluator()
            return self._evaluator_kept.quick_knn(self.model)

        return self.group.from_first(score)

    def memory_need(self) -> memory.Need:
        """Bytes that a step takes; see :mod:`contrastive_tutorial.train.memory`."""
        size = self.train_set.images.shape[-1]
        return memory.measure(
            self.model, 4 * self.order.groups, self.preset.bf16(self.device), size
        )

    def train(
        self,
        checkpoint: str | Path | None = None,
        progress: bool | str = True,
        on_step: Callable[[int, torch.Tensor], None] | None = None,
    ) -> History:
        """Train the model; see :func:`contrastive_tutorial.train.loop.train`.

        Raises:
            InputError: also if a step does not fit the memory, naming a batch size that does.
        """
        each, groups = self.shard.order.num_images, self.shard.order.groups
        need = self.memory_need()
        self.group.all_or_none(
            lambda: memory.require(need, each, self.device, groups, self.group.on_this_machine)
        )
        asked = self.cell.early_steps or self.preset.measured
        along = along_training(self._evaluator(), self.model.encoder) if asked else []
        if along:
            self.model.along = nn.ModuleList(along)

        def after_step(step: int, loss: torch.Tensor) -> None:
            for call in (on_step, *(scores.after_step for scores in along)):
                if call is not None:
                    call(step, loss)

        try:
            history = train(
                self.trained,
                self.loss,
                self.config,
                images_per_step=self.preset.batch_size,
                checkpoint=checkpoint,
                fingerprint=self.fingerprint(),
                progress=progress,
                on_step=after_step,
                measure=self.knn if self.preset.knn_every else None,
                measure_every=self.preset.knn_every,
                group=self.group,
            )
        except (RuntimeError, MemoryError) as error:
            explained = memory.explain(error, need, each, self.device, groups)
            if explained is None:
                raise
            raise explained from error
        finally:
            for scores in along:
                self.early |= scores.close()
            if along:
                del self.model.along
        if self.trained is not self.model:
            sync_buffers(self.trained, self.group)
            self.model.load_state_dict(self.trained.state_dict())
        return history

    def fingerprint(self) -> dict[str, object]:
        """What defines the run: a checkpoint resumes only a run that agrees on all of it."""
        return {
            "cell": asdict(self.cell),
            "preset": asdict(self.preset),
            "definition": DEFINITION,
            "policies": policies_hash(self.cell),
            **self._own_encoder(),
            **self._begins,
            "num_subsets": self.num_subsets,
            "data_hash": self.train_set.content_hash,
            **self._processes(),
        }

    def _own_encoder(self) -> dict[str, object]:
        return {} if self._encoder is None else {"encoder": str(self.model.encoder)}

    def _processes(self) -> dict[str, object]:
        if self.group.size == 1:
            return {}
        return {"processes": self.group.size, "batch_norm": self.batch_norm}

    def features(self, images: ImageSet, how: str | None = None) -> torch.Tensor:
        """h of clean images, float32 ``(N, feature_dim)``, under the headline statistics.

        The running statistics are measured (precise BN) on the cell's own training batches first,
        as everywhere in this package, and the model keeps them: until its weights change, they are
        not measured again.

        Args:
            images: any image set.
            how: other evaluation statistics, by name.
        """
        how = how or headline_statistics(self.cell, self.preset)
        evaluator, encoder = self._evaluator(), self.model.encoder
        if self._measured != content_digest(on_host(encoder.state_dict()), {}):
            evaluator.make_exact(encoder)
            self._measured = content_digest(on_host(encoder.state_dict()), {})
        if how == "reestimated":
            evaluator.reestimate(encoder)
        rows = images.images.to(self.device)
        with norm.evaluation_statistics(encoder, how) as forward:
            return features(forward, rows, shuffled(how, rows, self.seed))

    def save_encoder(self, path: Path) -> None:
        """Write the encoder, with precise BN; :func:`~contrastive_tutorial.train.load_encoder`."""
        encoder = copy.deepcopy(self.model.encoder)
        self._evaluator().make_exact(encoder)
        groups = self.order.groups if self.cell.norm == "ghost" else self.num_subsets
        name = "" if self._encoder is not None else self.preset.encoder
        save_encoder(
            path, encoder, encoder=name, norm=self.cell.norm, num_subsets=groups,
            cell=self.cell.name, preset=self.preset.name, seed=self.seed, data=self.train_set.name,
            statistics=headline_statistics(self.cell, self.preset),
        )  # fmt: skip

    def evaluate(self, with_arrays: bool = False) -> Scores:
        """Every metric of the trained model; see :mod:`contrastive_tutorial.study.scoring`."""
        scores = self._evaluator()(copy.deepcopy(self.model), with_arrays)
        scores.extra.update(self.early)
        return scores

    def _evaluator(self) -> Evaluator:
        sets = self.train_set, self.val_set, self.test_set
        return Evaluator(
            self.cell,
            self.preset,
            sets,
            self.subset_ids,
            self.num_subsets,
            self.batches,
            self.order,
        )

    def record(self, history: History, scores: Scores, evaluate_seconds: float = 0.0) -> Record:
        """Everything about the finished run, ready to be saved."""
        return Record(
            cell=self.cell.name,
            preset=self.preset.name,
            seed=self.seed,
            num_subsets=self.num_subsets,
            evaluation=scores.evaluation,
            metrics=scores.metrics,
            evaluations=scores.evaluations,
            hyperparameters={
                **definition(self.cell, self.preset),
                **self._own_encoder(),
                **images_used(self.train_set, self.test_set),
                **self._processes(),
            },
            loss_curve=history.curve(),
            knn_curve=history.points,
            extra=scores.extra,
            **circumstances(self.train_set, history, evaluate_seconds),
        )


def definition(cell: Cell, preset: Preset) -> dict[str, object]:
    """What a record says of the computation behind its numbers, as JSON holds it."""
    return {
        "cell": asdict(cell) | {"early_steps": list(cell.early_steps)},
        "preset": asdict(preset),
        "definition": DEFINITION,
        "policies": policies_hash(cell),
    }
