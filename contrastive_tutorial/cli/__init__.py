"""The command line: ``contrastive-tutorial``, and ``doctor``, which looks at an installation.

Enters: arguments of a shell.
Leaves: lines on the terminal, records and reports in folders, an exit status (2 for bad input).
Never: is imported by another room, or shows a traceback for bad input.
"""

from contrastive_tutorial.cli.commands import main

__all__ = ["main"]
