"""The lab: SimCLR that trains in the page, two settings side by side.

``Lab`` packs the engine of ``static/lab/`` (its README has the messages) and
``static/lab/view.js`` into one piece of HTML that needs neither kernel nor network. What a reader
may change is listed once, in ``FIELDS``; the page builds its controls from it.
"""

from __future__ import annotations

import base64
import functools
import json
import re
import zlib
from collections.abc import Mapping
from typing import Any

from contrastive_tutorial.data.shapes import GROUNDS, HUES, SHAPES, TEXTURES
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.files import in_book
from contrastive_tutorial.report import PALETTE
from contrastive_tutorial.widgets import fragment, interaction

#: What a reader may set, in the order of the page: name, label, explanation, default, and either
#: the choices with their texts or the least and the largest number.
FIELDS: tuple[dict[str, Any], ...] = (
    {"name": "k", "label": "Subsets K", "value": 1, "range": (1, 128),
     "help": "equal parts of the training images; N must be a multiple of K"},
    {"name": "policy", "label": "Augmentation", "value": "shared",
     "choices": {"shared": "one for all", "subset": "own brightness", "blur": "own blur"},
     "help": "one recipe for all, or a mark of its own for every subset"},
    {"name": "strength", "label": "Strength of the marks", "help": "0 to 1", "value": 1.0,
     "range": (0, 1)},
    {"name": "colours", "label": "Colours of the views", "value": "random",
     "choices": {"kept": "kept", "random": "randomised"},
     "help": "as they are, or drawn anew for every view"},
    {"name": "norm", "label": "Norm", "value": "bn",
     "choices": {"bn": "BN", "split": "split BN", "ghost": "ghost BN",
                 "renorm": "BatchRenorm", "none": "none"},
     "help": "statistics of the batch, of each subset (split), of K random groups (ghost)"},
    {"name": "negatives", "label": "Negatives", "value": "cross",
     "choices": {"cross": "all", "within": "own"},
     "help": "from the whole batch, or from a view's own subset only"},
    {"name": "temperature", "label": "Temperature", "value": 0.2, "range": (0.01, 10),
     "help": "small: only the nearest negatives count"},
    {"name": "n", "label": "Images a step N", "help": "4 to 256", "value": 64, "range": (4, 256)},
    {"name": "lr", "label": "Learning rate", "help": "of Adam; may change under way",
     "value": 0.003, "range": (1e-9, 1e9)},
    {"name": "seed", "label": "Seed", "help": "of weights, subsets, batches and views",
     "value": 0, "range": (0, 2**32 - 1)},
    {"name": "network", "label": "Network", "help": "9,328 or 95,424 weights", "value": "small",
     "choices": {"small": "small", "two_conv_strided": "two_conv_strided"}},
    {"name": "steps", "label": "Steps", "help": "or 60 seconds, whichever comes first",
     "value": 400, "range": (1, 10_000)},
)  # fmt: skip
SIDES = ("A", "B")
_SHOWN = (
    "id", "question", "about", "why", "sides", "a", "b", "metric", "label", "options", "same",
    "measured", "curve",
)  # fmt: skip
_PLAIN = str.maketrans("<>&", ",.:")
#: The page of the book with the recorded results, from where the lab's page stands.
RECORDS = "recorded-results.html"


class Lab(fragment.Piece):
    """Two small networks that learn side by side in the reader's browser.

    The last line of a cell shows it: HTML that trains in notebooks, in the book and in a saved
    file, a sentence elsewhere. With a kernel and anywidget, ``settings`` follows the reader.

    Args:
        question: name of one question, asked alone; all of them by default.
        a, b: settings of the two sides that differ from the question's: ``k``, ``policy``,
            ``strength``, ``colours``, ``norm``, ``negatives``, ``temperature``, ``n``, ``lr``,
            ``seed``, ``network``, ``steps``.

    Attributes:
        html: the self-contained piece of HTML.
        summary: the question and its recorded answer in words.

    Raises:
        InputError: naming an unknown question or setting, or a value that it cannot have.
    """

    title = "The lab"

    def __init__(
        self,
        question: str | None = None,
        *,
        a: Mapping[str, Any] | None = None,
        b: Mapping[str, Any] | None = None,
    ) -> None:
        known = {item["id"]: item for item in questions()}
        if question is not None and question not in known:
            raise InputError(f"question: expected one of {', '.join(known)}, got {question!r}")
        self._questions = [known[question]] if question else list(known.values())
        first = self._questions[0]
        self._given = {
            side: _checked(side, given or {}) for side, given in zip(SIDES, (a, b), strict=True)
        }
        self._widget: Any = None
        self.summary = fragment.clean(
            f"The lab: {first['question']} It trains two small networks in the page, which needs "
            f"JavaScript. {first['measured']}"
        )
        self.html = fragment.fragment("lab/lab", self._state(), self.summary)

    @property
    def settings(self) -> dict[str, dict[str, Any]]:
        """The settings of ``"A"`` and ``"B"``: with a kernel, as the reader left them."""
        current = self._widget.settings if self._widget is not None else self._given
        first = self._questions[0]
        return {side: _defaults() | first[side.lower()] | current[side] for side in SIDES}

    def experiment(self, side: str = "A") -> Any:
        """The setting of one side in PyTorch, an ``Experiment``.

        Images, network, recipes, norm, loss and optimiser are the page's. Random numbers are
        torch's, and the learning rate decays along a cosine as everywhere in this package.

        Raises:
            InputError: for a side other than A and B, or a setting that cannot be trained.
        """
        from contrastive_tutorial.widgets.continued import LabExperiment

        if side not in SIDES:
            raise InputError(f"side: expected one of {SIDES}, got {side!r}")
        return LabExperiment(self.settings[side])

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        bundle = super()._repr_mimebundle_()
        widget = self._alive()
        if widget is not None:
            shown = widget._repr_mimebundle_()
            bundle |= shown[0] if isinstance(shown, tuple) else shown
        return bundle

    def _alive(self) -> Any:
        """The anywidget whose ``settings`` Python reads, where a kernel and anywidget are."""
        if self._widget is None and interaction.is_live():
            try:
                import anywidget
            except ModuleNotFoundError:
                return None
            import traitlets

            traits: dict[str, Any] = {
                name: traitlets.Any(value).tag(sync=True) for name, value in self._state().items()
            }
            traits["_esm"] = fragment.module_source("lab/lab")
            self._widget = type("LabWidget", (anywidget.AnyWidget,), traits)()
        return self._widget

    def _state(self) -> dict[str, Any]:
        content = {
            "fields": [{k: v for k, v in field.items() if k != "range"} for field in FIELDS],
            "questions": [
                {name: one[name] for name in _SHOWN if name in one} for one in self._questions
            ],
            "palette": list(PALETTE),
            "names": {
                "class": SHAPES, "subset": None, "colour": HUES, "background": GROUNDS,
                "texture": TEXTURES,
            },
        }  # fmt: skip
        view = _squeezed(fragment.module_source("lab/view"))
        texts = (
            json.dumps(content, ensure_ascii=False, separators=(",", ":")),
            view.replace(fragment.EXPORT, "return { render };"),
            _squeezed(fragment.static("lab/model.js") + fragment.static("lab/worker.js")),
        )
        wasm = (fragment.STATIC / "lab" / "lab.wasm").read_bytes()
        # Text and program have tables of their own, and small blocks make better ones.
        packer = zlib.compressobj(9, memLevel=6)
        packed = packer.compress(b"".join(text.encode() + b"\0" for text in texts))
        packed += packer.flush(zlib.Z_BLOCK) + packer.compress(wasm) + packer.flush()
        return {
            "packed": {"letters": _letters(packed), "size": len(packed)},
            "settings": self._given,
            "records": RECORDS if in_book() else None,
            "address": not interaction.is_live(),  # a notebook's address is its own
        }


@functools.cache
def questions() -> tuple[dict[str, Any], ...]:
    """The questions whose answers were measured over seeds, in the order of the page."""
    return tuple(json.loads(fragment.static("lab/questions.json")))


def _squeezed(source: str) -> str:
    """JavaScript as small as it is readable, and without the line breaks that separate nothing."""
    return re.sub(r"(?<=[;,{(\[}])\n|\n(?=[?:&|+.)}\]])", "", fragment.squeezed(source))


def _letters(data: bytes) -> str:
    """Base 85 without letters that HTML escapes; ``lab.js`` reads it."""
    return base64.b85encode(data, pad=True).decode("ascii").translate(_PLAIN)


def _defaults() -> dict[str, Any]:
    return {field["name"]: field["value"] for field in FIELDS}


def _checked(side: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """``given`` if every name and value of it is known."""
    known = {field["name"]: field for field in FIELDS}
    for name, value in given.items():
        where = f"{side.lower()}[{name!r}]"
        if name not in known:
            raise InputError(f"{where}: expected one of {', '.join(known)}")
        field = known[name]
        if "choices" in field:
            if value not in list(field["choices"]):  # a list of them: a value may have no hash
                expected = ", ".join(field["choices"])
                raise InputError(f"{where}: expected one of {expected}, got {value!r}")
            continue
        low, high = field["range"]
        whole = isinstance(field["value"], int)
        kinds = int if whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
            kind = "a whole number" if whole else "a number"
            raise InputError(f"{where}: expected {kind} from {low:g} to {high:g}, got {value!r}")
    return dict(given)
