"""The three experiments side by side: recorded embeddings that a reader can move through.

:class:`EmbeddingExplorer` packs 2-D embeddings, labels and metrics of records into one piece of
HTML that ``static/explorer.js`` draws without a kernel or a network. Coordinates are kept in 12
bits (a 4,096th of the panel), arrays that occur twice once, numbers exactly.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.metrics import metric
from contrastive_tutorial.records import Record, Summary, said
from contrastive_tutorial.report import INK, MARKERS, PALETTE
from contrastive_tutorial.report.style import plain
from contrastive_tutorial.study import CELLS, THREE
from contrastive_tutorial.widgets import fragment, subsets
from contrastive_tutorial.widgets.packing import Pool, factors, frame, pack12, thumbnails
from contrastive_tutorial.widgets.runs import (
    check_arrays,
    check_same_points,
    check_together,
    embedded,
    ignores_subsets,
    key_of,
    names_of,
    numbers,
    select_cells,
    summaries,
)

#: Metrics beside the plot, by their name in records.
SHOWN = ("cluster_accuracy", "knn200", "linear_probe", "nmi")
MAX_BYTES = 400_000
_MAX_CATEGORIES = 20
_PANELS = 4
_UNTRAINED = "untrained"
_INTRO = (
    "Every dot is a test image, placed by UMAP of what the encoder learned; the same image has the "
    "same colour and shape in every panel. In which experiments can you see the subset of an "
    "image? And its class? UMAP illustrates; the numbers are the evidence."
)


class EmbeddingExplorer(fragment.Piece):
    """Embeddings of several experiments side by side, with a slider over the number of subsets.

    The last line of a cell shows it: HTML in notebooks and in the book, a picture in the PDF and
    in GitHub's preview, a sentence elsewhere. Every panel shows the same test images; metrics
    are means over all records of a cell and K, with 95% intervals.

    Args:
        records: of :func:`contrastive_tutorial.records.load_records`, of one data set and preset;
            those of the cell ``untrained`` become a mark on every bar. Their arrays are
            ``embedding`` (float ``(n, 2)``, clean test images), ``labels`` (int ``(n,)``) and, if
            recorded, ``embedding_subset`` (the same images with their subset's policy),
            ``subsets`` (int ``(n,)``) and ``factor_<name>`` (numbers ``(n,)``). Records without
            embeddings count in the metrics.
        cells: experiments to show, the first four side by side, more on request of the reader.
            By default the three of the article, as far as recorded, else the first ones found.
        metrics: what to show beside the plot, by name in the records. Those with a known range
            get a bar.
        images: uint8 ``(n, 3, H, W)`` in the order of the points, shown beside the dot that a
            reader points at. They make the HTML about 0.5 kB an image larger. Without them a
            drawn image shows what the policy of the dot's subset does, where it has one.
        classes: labels that are in colour at first when a reader colours by class, all others
            grey; by default all are in colour.
        seeds: whose embeddings to offer; by default as many as fit into 400 kB of HTML.
        title: what it is called.

    Attributes:
        html: the self-contained piece of HTML.
        summary: one sentence with the numbers of the setting shown first.
        seeds: those whose embeddings are inside.

    Raises:
        InputError: naming the run and the array that is missing, damaged or not finite, a label
            without a name, or more than fits into 400 kB without ``images``.
    """

    def __init__(
        self,
        records: Sequence[Record],
        *,
        cells: Sequence[str] | None = None,
        metrics: Sequence[str] = SHOWN,
        images: Any = None,
        classes: Sequence[int] = (),
        seeds: Sequence[int] | None = None,
        title: str = "The three experiments",
    ) -> None:
        check_together(records)
        held = embedded(records)
        self.cells = select_cells(list(dict.fromkeys(key[0] for key in held)), cells)
        shown = [r for r in records if r.cell in self.cells]
        self._held = {key: arrays for key, arrays in held.items() if key[0] in self.cells}
        self._records = {key_of(r): r for r in shown}
        self.title = fragment.clean(title)
        self._metrics = {name: metric(name).short for name in metrics}
        self.summaries = summaries(shown, self._metrics)
        floor = [r.metrics for r in records if r.cell == _UNTRAINED]
        self._untrained = {
            name: Summary.of(values).mean
            for name in metrics
            if (values := [found[name] for found in floor if name in found])
        }
        self.class_names = names_of(shown, self._held)
        most = len(self.class_names) - 1
        if any(label not in range(most + 1) for label in classes):
            raise InputError(f"classes: expected labels from 0 to {most}, got {list(classes)}")
        self._classes = [int(label) for label in classes]
        for key, arrays in self._held.items():
            check_arrays(key, arrays, len(self.class_names))
        recorded = sorted({seed for _, _, seed in self._held})
        if seeds is not None:
            missing = sorted(set(seeds) - set(recorded))
            if missing or not seeds:
                raise InputError(f"seeds: embeddings are recorded for {recorded}, got {seeds}")
            recorded = list(seeds)
        self._total = check_same_points(self._held)
        self._recorded_seeds = len({r.seed for r in shown})
        least = 1 if seeds is None else len(recorded)
        self._first = self._fit(recorded, least)
        if images is not None:
            self._first["data"] |= {
                "thumbs": thumbnails(images, self._total), "pictured": "image",
            }  # fmt: skip
            self.html = fragment.fragment("explorer", self._first, self.summary)

    def _fit(self, recorded: list[int], least: int) -> dict[str, Any]:
        """The state with as many seeds as fit into ``MAX_BYTES``, at least so many."""
        for number in range(len(recorded), least - 1, -1):
            self.seeds = recorded[:number]
            state = self._state()
            self.summary = self._sentence(state)
            self.html = fragment.fragment("explorer", state, self.summary)
            if len(self.html) <= MAX_BYTES:
                return state
        raise InputError(
            f"records: {self.title!r} needs {len(self.html):,} bytes for {self._total:,} points of "
            f"{len(self.cells)} cells and {len(self.seeds)} seeds, more than {MAX_BYTES:,}; pass "
            "fewer seeds or cells"
        )

    # ---- packing -----------------------------------------------------------------------------

    def _state(self) -> dict[str, Any]:
        runs = {key: arrays for key, arrays in self._held.items() if key[2] in self.seeds}
        pool = Pool()
        ks = sorted({k for _, k, _ in runs} | {k for _, k in self.summaries})
        table = subsets.table_of(self.cells)
        low, span = frame(list(runs.values()))
        packed: dict[str, dict[str, Any]] = {}
        dealt: dict[tuple[int, int], int] = {}
        for (_, k, seed), arrays in runs.items():
            if "subsets" in arrays:
                dealt[k, seed] = pool.add(arrays["subsets"])
        for (cell, k, seed), arrays in runs.items():
            entry: dict[str, Any] = {"k": k, "subsets": dealt.get((k, seed), -1), "own": -1}
            entry["share"] = subsets.own_share(arrays)
            for name, array in (("clean", "embedding"), ("own", "embedding_subset")):
                if array in arrays:
                    entry[name] = pool.add(pack12((arrays[array] - low) / span))
            packed[f"{cell}|{k}|{seed}"] = entry
        values = {
            f"{cell}|{k}": {name: numbers(summary) for name, summary in found.items()}
            for (cell, k), found in self.summaries.items()
        }
        recorded = sorted(values)
        for cell in self.cells:
            self._fill_gaps(cell, ks, packed, values, dealt)
        per_seed = {
            seed: next(r for key, r in runs.items() if key[2] == seed) for seed in self.seeds
        }
        complete = [k for k in ks if all(f"{c}|{k}|{self.seeds[0]}" in packed for c in self.cells)]
        first = 10 if 10 in (complete or ks) else (complete or ks)[-1]
        data = {
            "title": self.title,
            "intro": _INTRO,
            "note": self._note(),
            "names": list(self.class_names),
            "palette": list(PALETTE),
            "count": self._total,
            "pool": pool.items,
            "ks": ks,
            "seeds": self.seeds,
            "cells": [self._cell(cell) for cell in self.cells],
            "shown": self.cells[:_PANELS],
            "runs": packed,
            "values": values,
            "recorded": recorded,
            "metrics": [self._metric(name, label) for name, label in self._metrics.items()],
            "labels": {seed: pool.add(arrays["labels"]) for seed, arrays in per_seed.items()},
            "factors": factors(per_seed, pool),
            "own": (own := any(entry["own"] >= 0 for entry in packed.values())),
            "subsets": subsets.names(table, max(ks)) if dealt else [],
            "classes": self._classes,
            "colour": "subset" if own and dealt else "class",
        }
        if table and dealt:
            data |= {"thumbs": subsets.pictures(table), "pictured": "policy"}
        images = "own" if own else "clean"
        return {"data": data, "k": first, "seed": self.seeds[0], "images": images}

    def _metric(self, name: str, label: str) -> dict[str, Any]:
        known = metric(name)
        return {
            "name": name,
            "label": label,
            "digits": known.digits,
            "range": None if known.low is None else [known.low, known.high],
            "chance": known.guessed(len(self.class_names)),
            "untrained": self._untrained.get(name),
        }

    def _fill_gaps(
        self,
        cell: str,
        ks: Sequence[int],
        packed: dict[str, dict[str, Any]],
        values: dict[str, dict[str, list[float | None]]],
        dealt: dict[tuple[int, int], int],
    ) -> None:
        """A cell with one policy, one BN and all negatives is the same run at every K."""
        if not ignores_subsets(cell):
            return
        for seed in self.seeds:
            known = [k for k in ks if f"{cell}|{k}|{seed}" in packed]
            for k in ks:
                if known and k not in known:
                    nearest = min(known, key=lambda other: abs(other - k))
                    packed[f"{cell}|{k}|{seed}"] = {
                        **packed[f"{cell}|{nearest}|{seed}"],
                        "subsets": dealt.get((k, seed), -1),
                        "share": None,  # it depends on who is in which subset
                    }
        known = [k for k in ks if f"{cell}|{k}" in values]
        for k in ks:
            if known and k not in known:
                values[f"{cell}|{k}"] = values[
                    f"{cell}|{min(known, key=lambda other: abs(other - k))}"
                ]

    def _cell(self, name: str) -> dict[str, str]:
        known = CELLS.get(name)
        members = [self._records[key] for key in self._held if key[0] == name]
        return {
            "id": name,
            "label": THREE.get(name, name),
            "about": known.summary if known else "",
            "evaluation": members[0].evaluation,
            "own": subsets.pictured(known, said(members[0], "definition")) if known else "",
        }

    # ---- words and pictures ------------------------------------------------------------------

    def _note(self) -> str:
        one = next(iter(self._records.values()))
        parts = [f"{one.data}, preset {one.preset}.", f"{self._total:,} test images."]
        shown = ", ".join(map(str, self.seeds))
        if self._recorded_seeds > len(self.seeds):
            parts.append(f"Embeddings: seed {shown}; metrics: up to {self._recorded_seeds} seeds.")
        return " ".join(parts)

    def _sentence(self, state: dict[str, Any]) -> str:
        first = next(iter(self._metrics), "")
        told = []
        for cell in self.cells[:_PANELS]:
            summary = self.summaries.get((cell, state["k"]), {}).get(first)
            told.append(f"{THREE.get(cell, cell)} {summary if summary else 'not recorded'}")
        ks = ", ".join(map(str, state["data"]["ks"]))
        return fragment.clean(
            f"{self.title}: embeddings recorded for K = {ks}. At K = {state['k']}, "
            f"{self._metrics.get(first, 'metrics')}: {'; '.join(told)}. {self._note()}"
        )

    @functools.cached_property
    def png(self) -> bytes:
        """Every panel at every K, small, as a PNG."""
        import matplotlib.pyplot as plt

        cells, ks, seed = self.cells[:_PANELS], self._first["data"]["ks"], self.seeds[0]
        low, span = frame([found for key, found in self._held.items() if key[2] in self.seeds])
        figure, grid = plt.subplots(
            len(cells),
            len(ks),
            figsize=(1.7 * len(ks) + 1.4, 1.9 * len(cells) + 0.5),
            squeeze=False,
            layout="constrained",
            facecolor="none",
        )
        handles: dict[str, Any] = {}
        for (row, cell), (column, k) in product(enumerate(cells), enumerate(ks)):
            axes = grid[row, column]
            axes.set(xticks=[], yticks=[], xlim=(0, 1), ylim=(0, 1), facecolor="none")
            axes.spines[:].set_color(INK)
            if row == 0:
                axes.set_title(f"K = {k}", fontsize=9, color=INK)
            if column == 0:
                axes.set_ylabel(plain(THREE.get(cell, cell)), fontsize=9, color=INK)
            arrays = self._held.get((cell, k, seed))
            if arrays is None:
                words = "same at every K" if ignores_subsets(cell) else "not recorded"
                axes.text(0.5, 0.5, words, ha="center", va="center", fontsize=8, color=INK)
                continue
            points = (arrays["embedding"] - low) / span
            labels = arrays["labels"]
            for number in np.unique(labels):
                name = plain(self.class_names[number])
                handles[name] = axes.scatter(
                    *points[labels == number].T,
                    s=3,
                    lw=0,
                    color=PALETTE[number % len(PALETTE)],
                    marker=MARKERS[(number + number // len(MARKERS)) % len(MARKERS)],
                )
        if len(handles) <= _MAX_CATEGORIES:
            figure.legend(
                list(handles.values()),
                list(handles),
                loc="outside right center",
                fontsize=7,
                markerscale=2.5,
                frameon=False,
                labelcolor=INK,
            )
        with warnings.catch_warnings():
            # Class names may be in any script; one that the font lacks becomes a box.
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")
            return fragment.png_of(figure, 110)
