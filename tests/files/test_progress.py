"""Progress bars are drawn for eyes only."""

from __future__ import annotations

import io
import sys

import pytest

from contrastive_tutorial.files.progress import bar


class _Stream(io.StringIO):
    def __init__(self, terminal: bool):
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


@pytest.mark.parametrize(
    ("terminal", "building", "drawn"), [(True, "", True), (False, "", False), (True, "1", False)]
)
def test_only_on_a_terminal_and_never_in_a_book_build(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, building: str, drawn: bool
) -> None:
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    monkeypatch.setenv("CONTRASTIVE_TUTORIAL_BOOK", building)
    stream = _Stream(terminal)
    monkeypatch.setattr(sys, "stderr", stream)
    with bar("reading", "image", 3) as shown:
        shown.update(3)
    assert ("reading" in stream.getvalue()) == drawn
    assert drawn or stream.getvalue() == ""
