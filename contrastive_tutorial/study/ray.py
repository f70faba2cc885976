"""A study on a Ray cluster: one task per run, any number of GPUs or hosts, resumable.

The same cells, the same records as without Ray. A task runs where Ray finds a free GPU (or, in a
cluster without GPUs, a free core), and sends its record back; the process that started the study
writes it, unless the task already did in a folder that both see. Run the same command again after
any interruption: what is recorded is not run again, and what was begun continues from its
checkpoint if the host still has it.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from contrastive_tutorial import data
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.files import atomic_write
from contrastive_tutorial.records import Record, load_record
from contrastive_tutorial.study import runner
from contrastive_tutorial.study.runner import Run

#: How often Ray begins a task again whose process or host went away.
_RETRIES = 2


def _ray() -> Any:
    try:
        import ray
    except ModuleNotFoundError as error:
        raise InputError(
            "ray: not installed; `pip install 'contrastive-tutorial[cluster]'`, or use --shard"
        ) from error
    return ray


def _knock(address: str) -> None:
    """Raise OSError if nobody listens at ``host:port``: Ray itself would wait for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()


def work(
    wanted: Run, images: str, results: str, device: str | None, arrays: bool | None
) -> tuple[dict[str, bytes], bool]:
    """What a task does: the run. Returns its files by name, and whether it is new.

    There are no files if another process is working on the run.
    """
    record, is_new = runner.run_or_load(
        wanted.cell, images, wanted.preset, wanted.seed, wanted.num_subsets, results, device,
        arrays, progress=False,
    )  # fmt: skip
    if record is None or record.path is None:
        return {}, False
    files = [record.path.with_suffix(".npz"), record.path]  # the record last, as always
    return {file.name: file.read_bytes() for file in files if file.exists()}, is_new


def study_on_ray(
    runs: Sequence[Run],
    images: str,
    results: str | Path = "results",
    address: str = "local",
    device: str | None = None,
    arrays: bool | None = None,
    budget: float | None = None,
) -> Iterator[Record]:
    """Do what is missing of ``runs`` on a Ray cluster, and yield each new record.

    Args:
        runs: see :func:`contrastive_tutorial.study.runner.plan`.
        images: data set name, or a path that every host can read.
        results: folder of records on this host; tasks use the folder of the same path on theirs.
        address: ``"local"`` starts Ray on this machine; ``"auto"`` finds a running cluster.
        device: ``"cpu"`` asks for no GPU; ``None`` for one a run where there are any.
        arrays, budget: as in :func:`contrastive_tutorial.study.runner.study`.

    Raises:
        InputError: if Ray is missing or not found, if a run's process was lost again and again,
            and whatever a run's bad input is.
    """
    ray = _ray()
    source = str(Path(images).resolve()) if Path(images).exists() else images
    train_set = data.load(source, "train")
    left, name = runner.missing_runs(runs, results, train_set), train_set.name
    if not left:
        return
    owner = not ray.is_initialized()
    if owner:
        try:
            _knock(address)
            ray.init(address, include_dashboard=False, log_to_driver=False, configure_logging=False)
        except (OSError, ValueError) as error:  # nobody there; not an address
            raise InputError(
                f"ray: no cluster at {address!r} ({error}); start one with `ray start --head`, "
                "or use `--ray` alone"
            ) from error
    try:
        yield from _spread(ray, left, source, Path(results).resolve(), name, device, arrays, budget)
    finally:
        if owner:
            ray.shutdown()


def _spread(
    ray: Any, left: list[Run], images: str, results: Path, name: str, device: str | None,
    arrays: bool | None, budget: float | None,
) -> Iterator[Record]:  # fmt: skip
    gpus = 0 if device == "cpu" else int(ray.cluster_resources().get("GPU", 0))
    slots = gpus or max(1, int(ray.cluster_resources().get("CPU", 1)))
    task = ray.remote(num_cpus=1, num_gpus=1 if gpus else 0, max_retries=_RETRIES)(work)
    started, longest = time.monotonic(), 0.0
    running: dict[Any, tuple[Run, float]] = {}
    try:
        while left or running:
            # As many as there is room for: a budget must be able to stop what has not begun.
            while left and len(running) < slots:
                if budget is not None and time.monotonic() - started + longest > budget:
                    left = []
                    break
                wanted = left.pop(0)
                job = task.remote(wanted, images, str(results), device, arrays)
                running[job] = wanted, time.monotonic()
            if not running:
                return
            (job, *_), _ = ray.wait(list(running), num_returns=1)
            wanted, began = running.pop(job)
            longest = max(longest, time.monotonic() - began)
            try:
                files, is_new = ray.get(job)
            except ray.exceptions.RayTaskError as error:
                if isinstance(error.cause, InputError):
                    raise InputError(str(error.cause)) from error
                raise
            except ray.exceptions.RayError as error:  # the task's process or host is gone
                raise InputError(
                    f"ray: {wanted.cell} K={wanted.num_subsets} seed {wanted.seed} was lost "
                    f"{_RETRIES + 1} times ({type(error).__name__}: a host that went away, or "
                    "too little memory); the same command continues"
                ) from error
            target = wanted.file(results, name)
            if files and not target.exists():  # the task's folder is not this one
                for file, content in files.items():
                    atomic_write(target.parent / file, content)
                is_new = True
            if is_new:
                yield load_record(target)
    finally:
        for job in running:
            ray.cancel(job)
