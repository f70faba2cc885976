"""The workers of a study on a Ray cluster: one task per run, any number of GPUs or hosts.

A task runs where Ray finds a free GPU (or, in a cluster without GPUs, a free core), and sends its
record back; the process that started the study writes it, unless the task already did in a folder
that both see. What was begun continues from its checkpoint if the host still has it.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from contrastive_tutorial.data import known_set
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.files import atomic_write
from contrastive_tutorial.records import load_record
from contrastive_tutorial.study import runner
from contrastive_tutorial.study.request import Request
from contrastive_tutorial.study.runner import Outcome

#: How often Ray begins a task again whose process or host went away.
_RETRIES = 2


@contextmanager
def cluster(
    images: str | Path, address: str = "local", device: str | None = None
) -> Iterator[Cluster]:
    """Workers for :func:`contrastive_tutorial.study.runner.study`.

    Args:
        images: data set name, or a path that every host can read.
        address: ``"local"`` starts Ray on this machine; ``"auto"`` finds a running cluster.
        device: ``"cpu"`` asks for no GPU; ``None`` for one a run where there are any.

    Raises:
        InputError: if Ray is missing or not found; later, if a run's process was lost again and
            again, and whatever a run's bad input is.
    """
    try:
        import ray
    except ModuleNotFoundError as error:
        raise InputError(
            "ray: not installed; `pip install 'contrastive-tutorial[cluster]'`, or use --shard"
        ) from error
    owner = not ray.is_initialized()
    if owner:
        try:
            _require_listener(address)
            ray.init(address, include_dashboard=False, log_to_driver=False, configure_logging=False)
        except (OSError, ValueError) as error:  # nobody there; not an address
            raise InputError(
                f"ray: no cluster at {address!r} ({error}); start one with `ray start --head`, "
                "or use `--ray` alone"
            ) from error
    workers = Cluster(ray, _everywhere(images), device)
    try:
        yield workers
    finally:
        workers.cancel()
        if owner:
            ray.shutdown()


def _everywhere(images: str | Path) -> str:
    """The images for a process in another folder: a known set by its name, else a whole path."""
    path = Path(images)
    return str(path.resolve() if known_set(images) is None and path.exists() else images)


def _require_listener(address: str) -> None:
    """Raise OSError if nobody listens at ``host:port``: Ray itself would wait for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()


def work(request: Request, images: str) -> tuple[str, dict[str, bytes], bool]:
    """What a task does: the run. Returns the record's name, its files by suffix, and "it is new".

    There are no files if another process is working on the run.
    """
    record, is_new = runner.run(request, images)
    if record is None or record.path is None:
        return "", {}, False
    kept = (".npz", ".safetensors", ".json")  # the record last, as always
    parts = {suffix: record.path.with_suffix(suffix) for suffix in kept}
    found = {suffix: file.read_bytes() for suffix, file in parts.items() if file.exists()}
    return record.data, found, is_new


class Cluster:
    """Tasks of a Ray cluster, as many at a time as it has GPUs (or cores, without any)."""

    def __init__(self, ray: Any, images: str, device: str | None) -> None:
        gpus = 0 if device == "cpu" else int(ray.cluster_resources().get("GPU", 0))
        self.slots = gpus or max(1, int(ray.cluster_resources().get("CPU", 1)))
        self._ray, self._images = ray, images
        self._task = ray.remote(num_cpus=1, num_gpus=1 if gpus else 0, max_retries=_RETRIES)(work)
        self._running: dict[Any, Request] = {}

    def start(self, request: Request) -> Any:
        # A task uses the folder of the same path on its own host.
        there = replace(request, results=str(Path(request.results).resolve()), progress=False)
        job = self._task.remote(there, self._images)
        self._running[job] = request
        return job

    def next(self, handles: list[Any]) -> tuple[Any, Outcome]:
        (job, *_), _ = self._ray.wait(handles, num_returns=1)
        request, errors = self._running.pop(job), self._ray.exceptions
        try:
            name, files, is_new = self._ray.get(job)
        except errors.RayTaskError as error:
            if isinstance(error.cause, InputError):
                raise InputError(str(error.cause)) from error
            raise
        except errors.RayError as error:  # the task's process or host is gone
            raise InputError(
                f"ray: {request} was lost {_RETRIES + 1} times ({type(error).__name__}: a host "
                "that went away, or too little memory); the same command continues"
            ) from error
        if not files:
            return job, Outcome(None, False)
        target = request.file(name)
        if not target.exists():  # the task's folder is not this one
            for suffix, content in files.items():
                atomic_write(target.with_suffix(suffix), content)
            is_new = True
        return job, Outcome(load_record(target) if is_new else None, is_new)

    def cancel(self) -> None:
        """Stop what is still running."""
        for job in self._running:
            self._ray.cancel(job)
