"""Which run, and how: one value that travels from the command line to the record."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from contrastive_tutorial.records import record_file
from contrastive_tutorial.study.cells import Cell, Preset
from contrastive_tutorial.train import preset as get_preset

#: The preset of the normalisation study, whose cells are the settings of :mod:`.norms`.
NORM_PRESET = "norm"


@dataclass(frozen=True)
class Request:
    """One run of one cell with one seed, and how to carry it out.

    Attributes:
        cell: name of a registered cell, or a :class:`~contrastive_tutorial.study.cells.Cell`; for
            the normalisation study the name of a setting, such as ``"renorm-shifted-b16"``.
        preset: name, or a :class:`~contrastive_tutorial.train.presets.Preset`; ``"norm"`` for the
            normalisation study.
        seed: of weights, partition, batches and augmentation, all jointly.
        num_subsets: K.
        results: folder of records; a checkpoint lies beside the record while the run lasts.
        device: ``None`` for the best there is.
        arrays: keep compact features of 2,000 test images for figures (``None``: for seed 0).
        again: run even if a record is there, and replace it.
        progress: draw a progress bar.
        batch_norm: with several processes, whether plain BN uses the statistics of all of them
            (``"sync"``) or of each alone (``"local"``).
        keep_weights: leave the trained encoder beside the record, as ``<stem>.safetensors``; see
            :func:`contrastive_tutorial.train.load_encoder`.
    """

    cell: str | Cell
    preset: str | Preset = "cpu"
    seed: int = 0
    num_subsets: int = 10
    results: str | Path = "results"
    device: str | None = None
    arrays: bool | None = None
    again: bool = False
    progress: bool = True
    batch_norm: str = "sync"
    keep_weights: bool = False

    @property
    def cell_name(self) -> str:
        return self.cell if isinstance(self.cell, str) else self.cell.name

    @property
    def preset_name(self) -> str:
        """With its changes in the one order that records know."""
        if self.preset == NORM_PRESET:
            return NORM_PRESET
        return get_preset(self.preset).name if isinstance(self.preset, str) else self.preset.name

    @property
    def keeps_arrays(self) -> bool:
        return self.seed == 0 if self.arrays is None else self.arrays

    def file(self, data_name: str) -> Path:
        """Where its record lives.

        Raises:
            InputError: for an unknown preset.
        """
        return record_file(
            self.results, data_name, self.preset_name, self.cell_name, self.num_subsets, self.seed
        )

    def __str__(self) -> str:
        return f"{self.cell_name} K={self.num_subsets} seed {self.seed}"
