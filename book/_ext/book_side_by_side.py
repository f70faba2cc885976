"""Execute pages side by side before Sphinx reads them one by one.

Most of a chapter's time is one thread. Each core gets a page, in the order of the book: chapters
train, and the short pages after them fill the gaps at the end. With more cores than pages at once,
each page gets several. What pages showed lands in jupyter-cache, where the reader of each page
looks first. A page that fails is left to that reader, which tries again and says why.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from jupyter_cache import get_cache
from myst_nb.core.execute import create_client
from myst_nb.core.read import create_nb_reader
from sphinx.application import Sphinx
from sphinx.util import logging

THREADS = "OMP_NUM_THREADS"
#: glibc keeps what a step of training has freed for the next one: a tenth of a small network's step
#: on a CPU. The package's loop asks for that itself, but chapters write loops of their own.
KEEP = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(1 << 30)}
MOST = 4  # kernels at once: each takes a gigabyte
say = logging.getLogger(__name__)


class Quiet:
    """What a client tells the document that is being read; here there is none yet."""

    def debug(self, *_: Any, **__: Any) -> None: ...

    info = warning = error = debug


def execute(path: Path, md_config: Any, nb_config: Any) -> str:
    """Bring one page into the cache, if it has code; returns how that went, in words."""
    text = path.read_text(encoding="utf-8")
    try:
        reader = create_nb_reader(str(path), md_config, nb_config, text)
        if reader is None:
            return ""
        notebook = reader.read(text)
        if nb_config.metadata_key in notebook.metadata:
            return ""  # settings of its own: its reader knows what they mean
        started = time.perf_counter()
        with create_client(notebook, str(path), nb_config, Quiet(), reader.read_fmt) as client:
            seconds = time.perf_counter() - started
        succeeded = (client.exec_metadata or {}).get("succeeded", True)
    except Exception as error:
        return f"{path.stem}: {type(error).__name__}; tried again when it is read"
    return f"{path.stem}: {'executed or found' if succeeded else 'failed'} in {seconds:.1f} s"


def execute_all(app: Sphinx | None, env: Any, docnames: list[str]) -> None:
    config = env.mystnb_config
    workers = min(MOST, os.cpu_count() or 1)
    if workers < 2 or len(docnames) < 2 or config.execution_mode != "cache":
        return
    paths = [Path(env.doc2path(name)) for name in docnames]
    get_cache(config.execution_cache_path).db  # noqa: B018 - two processes at once would both create it
    run = partial(execute, md_config=env.myst_config, nb_config=config)
    # Processes of their own: the messages of two kernels must not share one library's state.
    with (
        surroundings((os.cpu_count() or 1) // workers),
        ProcessPoolExecutor(workers, get_context("spawn")) as pool,
    ):
        for done in as_completed([pool.submit(run, path) for path in paths]):
            if outcome := done.result():
                say.info(outcome)


@contextmanager
def surroundings(threads: int) -> Iterator[None]:
    """Processes that start here use so many cores each and keep their memory, unless the reader has
    said otherwise."""
    before = dict(os.environ)
    os.environ.update({THREADS: str(max(threads, 1)), **KEEP} | before)
    try:
        yield
    finally:
        for name in {THREADS, *KEEP} - set(before):
            del os.environ[name]


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("env-before-read-docs", execute_all)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
