"""``widgets.interact``: alive with a kernel, recorded without one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from contrastive_tutorial.files import in_book
from contrastive_tutorial.widgets.capture import captured, figure_text
from contrastive_tutorial.widgets.controls import Control, read_choices
from contrastive_tutorial.widgets.player import record


def interact(
    fn: Callable[..., Any],
    *,
    static: bool | None = None,
    name: str | None = None,
    labels: Mapping[str, str] | None = None,
    describe: Callable[..., str] | None = None,
    **choices: Any,
) -> Any:
    """Let a reader move the arguments of ``fn``; make it the last line of a cell.

    In a notebook (JupyterLab, Colab, VS Code) this is ``ipywidgets.interact``: ``fn`` runs anew at
    every move. Where no kernel will answer the reader, it is a recorded :class:`Player`: ``fn``
    runs here and now for every combination of the choices. That is so with ``static=True``, when
    the environment variable ``CONTRASTIVE_TUTORIAL_BOOK`` is set (the book's build sets it), and
    outside Jupyter.

    Args:
        fn: called with one value per choice. It may draw with matplotlib (on the current figure,
            or return a figure or axes), print, and return text, a number, a table or any object
            that notebooks can show. Text is shown as text, never as HTML.
        static: ``True`` records, ``False`` stays live, ``None`` decides as above.
        name: of the widget in messages and for screen readers; the name of ``fn`` by default.
        labels: what to call an argument, by its name.
        describe: called like ``fn``; returns what a reader who cannot see the picture should know.
            By default a picture is described by its own title.
        choices: by argument name, a list of values, a dict of labels and values, a ``range``,
            ``True`` or ``False``, or numbers ``(min, max)`` or ``(min, max, step)``.

    Returns:
        An ipywidget, or a :class:`Player`.

    Raises:
        InputError: naming the argument or the widget: a choice is missing, unknown or empty, a
            recording is too large (200 combinations, 2 MB), or ``fn`` shows nothing.

    >>> player = interact(lambda k: f"{k} subsets", static=True, name="subsets", k=[1, 2, 5])
    >>> player.num_frames
    3
    """
    controls = read_choices(fn, choices, labels)
    name = str(name or getattr(fn, "__name__", type(fn).__name__))
    if static or (static is None and not is_live()):
        return record(fn, controls, name=name, describe=describe)
    return _live(fn, controls, describe, name)


def is_live() -> bool:
    """Whether a Jupyter kernel runs this and no book is being built."""
    if in_book():
        return False
    try:
        from IPython.core.getipython import get_ipython
    except ModuleNotFoundError:
        return False
    return getattr(get_ipython(), "kernel", None) is not None


def _live(
    fn: Callable[..., Any], controls: list[Control], describe: Callable[..., str] | None, name: str
) -> Any:
    import ipywidgets
    from IPython.display import display
    from matplotlib.figure import Figure

    from contrastive_tutorial.report import style

    def call(**positions: int) -> None:
        arguments = {
            control.name: control.values[int(positions[control.name])] for control in controls
        }
        with captured() as outputs:
            try:
                result = fn(**arguments)
            except Exception as error:
                result = error
        if isinstance(result, Exception):
            outputs.close_figures()  # or a notebook would show them below the traceback
            raise result
        for item in outputs.items + outputs.figures(result):
            if isinstance(item, Figure):
                alt = str(describe(**arguments)) if describe else ""
                display(style.picture(item, alt or figure_text(item) or name))
            elif isinstance(item, str):
                print(item)
            else:
                display(item)

    return ipywidgets.interactive(call, **{c.name: _ipywidget(c) for c in controls})


def _ipywidget(control: Control) -> Any:
    """The control as an ipywidget whose value is a position: values may be arrays or functions."""
    import ipywidgets

    options = [(text, position) for position, text in enumerate(control.labels)]
    shared = {"description": control.label, "style": {"description_width": "initial"}}
    # A check box says False and True, which are the positions of exactly these two values.
    if control.values == (False, True) and control.kind == "checkbox":
        return ipywidgets.Checkbox(value=bool(control.index), indent=False, **shared)
    if control.kind == "range":
        return ipywidgets.SelectionSlider(
            options=options, value=control.index, continuous_update=False, **shared
        )
    return ipywidgets.Dropdown(options=options, value=control.index, **shared)
