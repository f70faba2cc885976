"""Cells as three little squares: policy, negatives, norm. Filled is what every subset has alone."""

from __future__ import annotations

from contrastive_tutorial.study import CELLS

_POLICIES = {
    "P0": "□", "P0-shared": "▤", "P-rand": "▨", "P-img": "▥", "P1": "■", "P1c": "▣", "P1j": "▩",
}  # fmt: skip
_NORMS = {
    "bn": "□", "split": "◧", "affine": "◨", "dsbn": "■", "gn": "▦", "ghost": "▥", "renorm": "▧",
}  # fmt: skip
#: What the squares mean, in a line.
GLYPHS = (
    "squares: policy (□ one for all, ■ one per subset), negatives (□ all, ■ own subset), "
    "norm (□ one BN, ◧ own statistics, ◨ own affine, ■ both); hatched ones are other kinds"
)


def glyph(name: str) -> str:
    """``"■■◧"`` of S-P1: policy, negatives, norm; nothing for references and unknown cells.

    >>> glyph("B0"), glyph("M-P1"), glyph("pca")
    ('□□□', '■□■', '')
    """
    cell = CELLS.get(name)
    if cell is None or cell.reference or cell.norm not in _NORMS:
        return ""
    negatives = "□" if cell.negatives == "cross" else "▨" if cell.group_size else "■"
    return _POLICIES[cell.policy] + negatives + _NORMS[cell.norm]
