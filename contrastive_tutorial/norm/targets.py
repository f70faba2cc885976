"""Models by name, for an audit from the command line: ``timm:NAME`` or ``MODULE:FACTORY``."""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from collections.abc import Iterable
from typing import Any

from torch import nn

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.norm.audit import Audit, audit


def audit_target(target: str, batch_size: int | None = None) -> Audit:
    """:func:`audit` of a model that is named: ``timm:NAME``, or ``MODULE:FACTORY``.

    Args:
        target: ``timm:resnet18`` builds timm's model of that name, without weights;
            ``package.module:factory`` imports the module (the working directory counts) and calls
            the factory without arguments, or takes it as it is if it is a model already.
        batch_size: as in :func:`audit`.

    Raises:
        InputError: for another form, a module or name that is not there, a factory that fails or
            gives no model, ``timm:`` without timm.
    """
    module, colon, name = target.partition(":")
    if not (module and colon and name):
        raise InputError(
            f"target: expected MODULE:FACTORY or timm:NAME, such as timm:resnet18, got {target!r}"
        )
    model = _timm_model(name) if module == "timm" else _made_by(module, name)
    if not isinstance(model, nn.Module):
        raise InputError(f"{target}: expected an nn.Module, got {type(model).__name__}")
    return audit(model, batch_size)


def _timm_model(name: str) -> Any:
    try:
        import timm
    except ModuleNotFoundError as error:
        raise InputError("timm: is not installed; `pip install timm`") from error
    if not timm.is_model(name):
        raise InputError(f"timm: has no model {name!r}{_perhaps(name, timm.list_models())}")
    return timm.create_model(name, pretrained=False)


def _made_by(module: str, name: str) -> Any:
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found: Any = importlib.import_module(module)
    except Exception as error:
        raise InputError(f"{module}: cannot be imported: {_of(error)}") from error
    for part in name.split("."):
        if not hasattr(found, part):
            names = [n for n, value in vars(found).items() if callable(value) and n[0] != "_"]
            raise InputError(f"{module}: has no {part!r}{_perhaps(part, names)}")
        found = getattr(found, part)
    if isinstance(found, nn.Module):
        return found
    if not callable(found):
        raise InputError(f"{module}:{name}: expected a function that makes a model, got {found!r}")
    try:
        return found()
    except Exception as error:
        raise InputError(f"{module}:{name}: fails without arguments: {_of(error)}") from error


def _perhaps(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), 3)
    return f"; perhaps {', '.join(near)}" if near else ""


def _of(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
