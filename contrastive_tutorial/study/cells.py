"""The registered cells and presets: what each experiment *is*, apart from running it.

A *cell* is one experimental setting: augmentation policy x negatives x norm. A *preset* says which
encoder, how long and how it is evaluated. Equal presets make cells comparable: every cell of a
preset takes the same number of steps on batches of the same size.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from contrastive_tutorial.errors import InputError, unknown
from contrastive_tutorial.train import PRESETS, Preset, preset

__all__ = ["CELLS", "PRESETS", "THREE", "Cell", "Preset", "cell", "preset", "resolved"]

#: Which computation a record's numbers come from; records of different ones are never mixed. A
#: record without the entry is of definition 1.
#:
#: 2  A warm-up takes whole steps and never passes the peak rate. Weight decay spares every norm
#:    layer (before, not the affines per subset of dsbn and affine cells). Batches of test-batch
#:    statistics are shuffled (they were of one or two classes). Precise BN, re-estimation and
#:    contrastive accuracy use batches apart from each other and from training. Random numbers of
#:    the evaluation come from a hash of seed and purpose. The own-branch probe is left out where
#:    policies have no branch of their own (it repeated the headline). loss_final of the
#:    normalisation study is measured after training, as in the other. Renorm cells renormalise.
#:    Uniformity counts pairs of different images.
DEFINITION = 2

POLICY_RULES = ("P0", "P1", "P-rand", "P-img", "P0-shared", "P1c", "P1j")
NEGATIVES = ("cross", "within")


@dataclass(frozen=True)
class Cell:
    """One experimental setting.

    Attributes:
        name: as in records and on the command line.
        policy: ``"P0"`` one policy for all images; ``"P1"`` one policy per subset; ``"P-rand"`` a
            policy drawn for every view; ``"P-img"`` a policy drawn for every image;
            ``"P0-shared"`` P0 with colours drawn once an image, for both of its views; ``"P1c"``
            one policy per subset, all of equal strength; ``"P1j"`` P1 with the colour jitter of P0
            in every policy.
        negatives: ``"cross"`` all other images of the batch, ``"within"`` those of the own subset.
        norm: a kind of :func:`contrastive_tutorial.norm.convert_norm`.
        summary: one plain sentence.
        article: what the article calls it, if it does.
        balanced: batches hold equally many images of every subset, in subset order.
        only_subset: train on this subset alone.
        group_size: images per normalisation group, for the grouping-leak study.
        shuffle_views: second views are normalised among other images than the first ones: those of
            a group move together, half a batch away.
        reference: a row to compare with that involves no training: ``"raw-pixels"``, ``"pca"``
            or ``"untrained"``.
        normalize: l2-normalise z in the loss; without it, similarities are raw dot products.
        temperature: of NT-Xent, where it is not the preset's.
        score_protocols: also score the clusters by every protocol (:mod:`.diagnostics`).
        early_steps: steps at which cluster accuracy is measured during training, with moving
            averages and with exact statistics (:mod:`.diagnostics`).
        grayscale: probability of grayscale in the one policy of P0, where a preset changes it.
    """

    name: str
    policy: str
    negatives: str
    norm: str
    summary: str
    article: str = ""
    balanced: bool = True
    only_subset: int | None = None
    group_size: int | None = None
    shuffle_views: bool = False
    reference: str | None = None
    normalize: bool = True
    temperature: float | None = None
    score_protocols: bool = False
    early_steps: tuple[int, ...] = ()
    grayscale: float | None = None

    def __post_init__(self) -> None:
        if self.policy not in POLICY_RULES:
            raise InputError(f"policy: expected one of {POLICY_RULES}, got {self.policy!r}")
        if self.negatives not in NEGATIVES:
            raise InputError(f"negatives: expected one of {NEGATIVES}, got {self.negatives!r}")

    @property
    def has_branches(self) -> bool:
        """Whether its norm layers keep something of their own for every subset."""
        return self.norm in ("split", "dsbn", "affine")

    @property
    def headline_statistics(self) -> str:
        """Evaluation statistics behind the headline metrics, fixed before any run.

        With one policy per subset, branch 0 saw the weak policy (crop and flip), the closest to a
        clean test image. Under one policy for all, branches are exchangeable: pool them.
        """
        if not self.has_branches:
            return "running"
        return "branch:0" if self.policy == "P1" else "pooled"


def _second_study() -> list[Cell]:
    """Cells of ``verdicts/second-study.yml``, named policies-norm-negatives.

    All but one take balanced batches in subset order, so that a seed pairs more than weights:
    every step of every cell sees the same images, with the same draws for every view.
    """
    same, equal, ten = "one policy for all", "ten policies of equal strength", "ten policies"
    table = [
        ("same-bn-cross", "P0", f"Baseline: {same}, one BN, all negatives.", "1 baseline"),
        ("same-bn-within", "P0", f"Baseline, negatives from the own subset: {same}.", ""),
        ("same-split-cross", "P0", f"Own statistics, {same}.", ""),
        ("same-split-within", "P0", f"Own statistics and negatives, {same}.", "2 split"),
        ("same-affine-cross", "P0", f"Own affine parameters, {same}.", ""),
        ("same-dsbn-cross", "P0", f"Own statistics and affine parameters, {same}.", "3 mixed"),
        ("shared-bn-cross", "P0-shared", "Baseline whose two views share their colours.", ""),
        ("equal-bn-cross", "P1c", f"One BN, {equal}.", ""),
        ("equal-bn-within", "P1c", f"Own negatives, {equal}.", ""),
        ("equal-split-cross", "P1c", f"Own statistics, {equal}.", ""),
        ("equal-split-within", "P1c", f"Own statistics and negatives, {equal}.", ""),
        ("equal-affine-cross", "P1c", f"Own affine parameters, {equal}.", ""),
        ("equal-affine-within", "P1c", f"Own affine parameters and negatives, {equal}.", ""),
        ("equal-dsbn-cross", "P1c", f"Own statistics and affine parameters, {equal}.", ""),
        ("equal-dsbn-within", "P1c", f"Own statistics, affine and negatives, {equal}.", ""),
        ("ten-bn-cross", "P1", f"One BN, {ten}.", ""),
        ("ten-bn-within", "P1", f"Own negatives, {ten}.", ""),
        ("ten-split-within", "P1", f"Own statistics and negatives, {ten}.", "2 split"),
        ("ten-dsbn-cross", "P1", f"Own statistics and affine parameters, {ten}.", "3 mixed"),
        ("jitter-split-within", "P1j", "ten-split-within, every policy with colour jitter.", ""),
    ]
    cells = []
    for name, policy, summary, article in table:
        _, kind, negatives = name.split("-")
        cells.append(Cell(name, policy, negatives, kind, summary, article=article))
    alone = Cell(
        "one-bn-cross", "P0", "cross", "bn", "Baseline on one subset alone, for as many steps.",
        article="only one subset", balanced=False, only_subset=0,
    )  # fmt: skip
    return [*cells, alone]


def _plain(name: str, policy: str, negatives: str, kind: str, summary: str, **more: Any) -> Cell:
    """A cell whose batches are drawn at random, and not subset by subset."""
    return Cell(name, policy, negatives, kind, summary, balanced=False, **more)


def _first_study() -> list[Cell]:
    """Cells of ``verdicts/hypotheses.yml``."""
    return [
        _plain(
            "B0", "P0", "cross", "bn", "Ordinary SimCLR: one policy, one BN, all negatives.",
            article="1 baseline (0.267)", score_protocols=True,
        ),
        _plain(
            "B1", "P0", "cross", "bn", "B0 trained on one subset alone, for equally many steps.",
            article='"only one subset" (0.13)', only_subset=0,
        ),
        _plain("B2", "P-rand", "cross", "bn", "B0 with a policy drawn anew for every view."),
        Cell(
            "S-P1", "P1", "within", "split",
            "Split: own policy, own BN statistics and own negatives for every subset.",
            article="2 split (0.37)",
        ),
        Cell("S-P0", "P0", "within", "split", "Split, but one policy for all subsets."),
        Cell(
            "M-P1", "P1", "cross", "dsbn",
            "Mixed: own policy and own BN (statistics and affine) per subset, all negatives.",
            article="3 mixed (0.44)",
        ),
        Cell("M-P0", "P0", "cross", "dsbn", "Mixed, but one policy for all subsets."),
        Cell("W-bn", "P1", "within", "bn", "Split without splitting BN: own policy and negatives."),
        Cell("M-bn", "P1", "cross", "bn", "Mixed with one BN: the policy shortcut laid open."),
        Cell("M-split", "P1", "cross", "split", "Mixed, own statistics but one shared affine."),
        Cell("M-aff", "P1", "cross", "affine", "Mixed, one set of statistics but own affine."),
        _plain(
            "X-bn", "P-img", "cross", "bn", "A policy drawn per image, shared by its two views."
        ),
        _plain("GN", "P0", "cross", "gn", "B0 with GroupNorm: no batch statistics at all."),
        Cell("GN-P1", "P1", "cross", "gn", "Mixed with GroupNorm: no batch statistics at all."),
        # Without normalisation similarities have the size of D, here tamed by the temperature.
        _plain(
            "B0-dot", "P0", "cross", "bn", "B0 with raw dot products, temperature 10.",
            normalize=False, temperature=10.0,
        ),
        _plain(
            "B0-ema", "P0", "cross", "bn", "B0, also scored early with moving averages.",
            early_steps=(90, 300),
        ),
    ]  # fmt: skip


def _amendment_a() -> list[Cell]:
    """Cells of ``verdicts/amendment-a.yml``."""
    return [
        _plain(
            "B0-shared", "P0-shared", "cross", "bn",
            "B0 with colours drawn once an image: both of its views keep them.",
        ),
        Cell("S-P1c", "P1c", "within", "split", "Split, policies of equal strength."),
        Cell("M-P1c", "P1c", "cross", "dsbn", "Mixed, policies of equal strength."),
        Cell("W-bn-c", "P1c", "within", "bn", "W-bn, policies of equal strength."),
        Cell("M-bn-c", "P1c", "cross", "bn", "M-bn, policies of equal strength."),
        Cell("S-P1j", "P1j", "within", "split", "Split, colour jitter in all ten policies."),
        _plain(
            "B0-few", "P0", "within", "bn",
            "B0 with negatives from 50 random images: as many as a subset holds.", group_size=50,
        ),
        _plain(
            "M-bn-few", "P1", "within", "bn",
            "M-bn with negatives from 50 random images, of any subset.", group_size=50,
        ),
    ]  # fmt: skip


def _ghosts() -> list[Cell]:
    """The grouping-leak study: BN in groups, which hold both views of an image or part them."""
    same, part = "both views in one group", "second views half a batch away"
    return [
        _plain(
            f"ghost-{how}-{size}", "P0", "cross", "ghost",
            f"BN in groups of {size} random images, {what}.",
            group_size=size, shuffle_views=how == "shuffle",
        )
        for size in (5, 10, 25, 50)
        for how, what in (("same", same), ("shuffle", part))
    ]  # fmt: skip


def _references() -> list[Cell]:
    """Rows to compare with that involve no training."""
    return [
        _plain("raw-pixels", "P0", "cross", "none", "The pixels.", reference="raw-pixels"),
        _plain("pca", "P0", "cross", "none", "128 principal components.", reference="pca"),
        _plain("untrained", "P0", "cross", "bn", "Random weights.", reference="untrained"),
    ]


CELLS: dict[str, Cell] = {
    made.name: made
    for part in (_first_study, _amendment_a, _second_study, _ghosts, _references)
    for made in part()
}

#: The three experiments that the book shows side by side, under the names a reader meets.
THREE = {"B0": "Baseline", "S-P1": "Split", "M-P1": "Mixed"}


def cell(name: str) -> Cell:
    """A registered cell by name.

    Raises:
        InputError: for an unknown name, listing the known ones.
    """
    if name not in CELLS:
        raise unknown("cell", name, CELLS)
    return CELLS[name]


def resolved(wanted: str | Cell, how: str | Preset) -> tuple[Cell, Preset]:
    """A cell and a preset, each by name or itself; the cell with what the preset changes of it.

    Raises:
        InputError: for unknown names.
    """
    found = cell(wanted) if isinstance(wanted, str) else wanted
    chosen = preset(how) if isinstance(how, str) else how
    if chosen.grayscale is not None and found.policy == "P0":
        found = replace(found, grayscale=chosen.grayscale)
    return found, chosen
