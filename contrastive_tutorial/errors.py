"""The one exception that means *the input was bad*: what was wrong, what was expected, what to do.

The command line prints it on one line and exits with status 2; nothing else is caught there, so a
defect of ours still shows its traceback.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from importlib.util import find_spec


class InputError(ValueError):
    """Bad input from the caller. The message names the argument, what was expected and got."""


def unknown(what: str, name: object, known: Iterable[str]) -> InputError:
    """The error for a name that is not among the ``known`` ones, with the one that was meant.

    >>> print(unknown("cell", "b0", ["B0", "S-P1"]))
    unknown cell 'b0' (did you mean 'B0'?); known are B0, S-P1
    """
    known = list(known)
    by_lower = {other.lower(): other for other in known}
    close = get_close_matches(str(name).lower(), by_lower, n=1)
    hint = f" (did you mean {by_lower[close[0]]!r}?)" if close else ""
    return InputError(f"unknown {what} {name!r}{hint}; known are {', '.join(known)}")


class MissingExtraError(ImportError):
    """A room needs packages that ``pip install contrastive-tutorial[EXTRA]`` brings."""


def require_extra(extra: str, *modules: str) -> None:
    """Say in one line which extra a room needs, before anything in it fails half-way.

    Raises:
        MissingExtraError: naming the modules that are not installed and the extra that has them.
    """
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            f"not installed: {', '.join(missing)}; pip install 'contrastive-tutorial[{extra}]'"
        )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that the CPU's or a GPU's memory ran out.

    torch raises a ``RuntimeError`` for the CPU, and a subclass of it for a GPU; its class is known
    by name here, so that nobody has to import torch to ask.
    """
    if isinstance(error, MemoryError):
        return True
    names = {kind.__name__ for kind in type(error).__mro__}
    text = str(error)
    return "OutOfMemoryError" in names or (
        "RuntimeError" in names
        and any(sign in text for sign in ("DefaultCPUAllocator", "std::bad_alloc", "out of memory"))
    )
