"""Progress bars are drawn for eyes only."""

import io
import sys

import pytest

from contrastive_tutorial.files.progress import bar, in_book


class _Stream(io.StringIO):
    def __init__(self, terminal):
        super().__init__()
        self.terminal = terminal

    def isatty(self):
        return self.terminal


@pytest.mark.parametrize(
    ("terminal", "building", "drawn"),
    [(True, "", True), (False, "", False), (True, "1", False), (True, "true", False)],
)
def test_only_on_a_terminal_and_never_in_a_book_build(monkeypatch, terminal, building, drawn):
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    monkeypatch.setenv("CONTRASTIVE_TUTORIAL_BOOK", building)
    stream = _Stream(terminal)
    monkeypatch.setattr(sys, "stderr", stream)
    with bar("reading", "image", 3) as shown:
        shown.update(3)
    assert ("reading" in stream.getvalue()) == drawn
    assert drawn or stream.getvalue() == ""


@pytest.mark.parametrize(
    ("value", "building"),
    [("1", True), ("true", True), ("YES", True), ("0", False), ("False", False), (" ", False)],
)
def test_one_reading_of_the_variable(monkeypatch, value, building):
    monkeypatch.setenv("CONTRASTIVE_TUTORIAL_BOOK", value)
    assert in_book() == building
    monkeypatch.delenv("CONTRASTIVE_TUTORIAL_BOOK")
    assert not in_book()
