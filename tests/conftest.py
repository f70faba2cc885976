"""What every test shares: one thread, fixed seeds, a cache of its own, and the real images."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]
ARCHIVE = "cifar10-jpeg.tar.xz"

# Tests run side by side (pytest -n) and their tensors are small: more threads than this wait for
# each other longer than they work.
torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))


@pytest.fixture(autouse=True)
def _seeds() -> None:
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - libraries under test draw from it
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _own_style() -> Iterator[None]:
    """The book's style, where a test sets it, ends with that test; so do its figures."""
    yield
    if (matplotlib := sys.modules.get("matplotlib")) is not None:
        matplotlib.rcdefaults()
    if (pyplot := sys.modules.get("matplotlib.pyplot")) is not None:
        pyplot.close("all")


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Decoded images of the tests stay out of the user's cache; parallel workers share theirs."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONTRASTIVE_TUTORIAL_CACHE", str(shared / "image-cache"))
        yield


@pytest.fixture(scope="session")
def cifar10_archive() -> Path:
    """The archive of all CIFAR-10 images as JPEG, from the environment or beside the checkout."""
    named = os.environ.get("CONTRASTIVE_TUTORIAL_CIFAR10")
    path = Path(named) if named else ROOT.parent / "shared" / "data" / ARCHIVE
    if not path.is_file():
        where = (
            "CONTRASTIVE_TUTORIAL_CIFAR10 names no file"
            if named
            else f"no ../shared/data/{ARCHIVE}"
        )
        pytest.skip(f"real images are not here: {where}; set CONTRASTIVE_TUTORIAL_CIFAR10 to it")
    return path
