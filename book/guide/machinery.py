"""Training plumbing, book machinery and notebooks."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from .row import Seen, error_of, row

TABLE = "machinery"
FRONT = """\
---
jupytext: {text_representation: {extension: .md, format_name: myst}}
kernelspec: {display_name: Python 3, language: python, name: python3}
---

"""


@row(
    TABLE,
    "A cosine schedule after its last step",
    libraries="torch",
    expect="The rate stays at the minimum.",
    happens="It **rises again**: with `T_max=10` and rate 1 it is {end:.1f} after 10 steps and "
    "{double:.1f} after 20.",
    cost="A run that goes on, or counts steps where the schedule counts epochs, ends with the full "
    "rate and undoes itself.",
    instead="Give `T_max` the number of calls of `step()`.",
    holds=lambda seen: seen["end"] < 1e-6 and seen["double"] > 0.99,
)
def cosine_schedule_rises() -> Seen:
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=10)
    rates = []
    for _ in range(20):
        optimiser.step()
        schedule.step()
        rates.append(schedule.get_last_lr()[0])
    return {"end": rates[9], "double": rates[19]}


@row(
    TABLE,
    "Gradients of a compiled model on a GPU, torch 2.10 to 2.14",
    libraries="torch",
    expect="Those of the model that is not compiled, up to rounding.",
    happens="Reported, not run here, as it needs a GPU: where inductor sums over rows and over "
    "columns in one kernel, a mix-order reduction, parts of a gradient stay **unwritten**, without "
    "an error. [One report](https://github.com/pytorch/pytorch/issues/190796) is of the bias of a "
    "convolution in torch 2.10.0, [another]"
    "(https://github.com/pytorch/pytorch/issues/193061) of LayerNorms that share a scale. Seen "
    "here, in the source of the release below: such kernels are {default} by default, and the sum "
    "{sum}. Up to 2.14 it goes into a new tensor, which is the fault that the second report names; "
    "2.15 writes it in place.",
    cost="Some weights are moved by whatever the memory held, often by the gradient of the step "
    "before. The loss may still fall.",
    instead="Take torch 2.15, or set `TORCHINDUCTOR_MIX_ORDER_REDUCTION=0`. [[train.compiled]], "
    "through which this package compiles, does that before 2.15.",
    holds=lambda seen: (
        seen["default"] == "on" and (seen["sum"] == "is written in place") == seen["mended"]
    ),
    slow=True,
)
def compiled_gradients() -> Seen:
    import inspect

    from torch._inductor import config
    from torch._inductor.codegen.simd import SIMDScheduling

    source = inspect.getsource(SIMDScheduling._codegen_mix_order_reduction)
    renames = 'f"{buffer_name} = {ws_name}[' in source and "copy_(" not in source
    return {
        "default": "on" if config.triton.mix_order_reduction else "off",
        "sum": "goes into a new tensor" if renames else "is written in place",
        "mended": torch.__version__ >= "2.15",
    }


@row(
    TABLE,
    "Resume `SequentialLR` with the optimiser restored before the scheduler is built",
    libraries="torch",
    expect="Any order: both are restored.",
    happens="The next rate should be {right:.3f}. With the scheduler built **after** the "
    "optimiser's state was loaded it is {wrong:.3f}: building it writes the first warm-up rate "
    "into the optimiser, and loading its state does not write back.",
    cost="One step or a whole schedule at another rate; the resumed run is not the run.",
    instead="Build optimiser and scheduler, then load both, the optimiser last.",
    holds=lambda seen: abs(seen["right"] - seen["wrong"]) > 0.01,
)
def resume_sequential_schedule() -> Seen:
    from torch.optim import lr_scheduler as schedules

    def build(state: dict | None = None) -> tuple:
        optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        if state:
            optimiser.load_state_dict(state)
        warm = schedules.LinearLR(optimiser, 0.1, total_iters=5)
        cosine = schedules.CosineAnnealingLR(optimiser, T_max=20)
        return optimiser, schedules.SequentialLR(optimiser, [warm, cosine], milestones=[5])

    def step(optimiser: torch.optim.Optimizer, schedule: schedules.LRScheduler) -> float:
        optimiser.step()
        schedule.step()
        return float(optimiser.param_groups[0]["lr"])

    optimiser, schedule = build()
    for _ in range(8):
        step(optimiser, schedule)
    saved = optimiser.state_dict(), schedule.state_dict()
    again, its_schedule = build(saved[0])
    its_schedule.load_state_dict(saved[1])
    return {"right": step(optimiser, schedule), "wrong": step(again, its_schedule)}


@row(
    TABLE,
    "Save tensors that share memory with safetensors",
    libraries="safetensors",
    expect="A file, with the tensor twice.",
    happens="Two names for one tensor: {shared}. A tensor in channels-last order: {layout}. Two "
    "slices of one tensor: {slices}.",
    cost="Tied heads, momentum encoders that start as the same tensor, and channels-last models "
    "cannot be saved as they are, and it shows at the first checkpoint.",
    instead="`safetensors.torch.save_model` handles sharing; for the rest `.contiguous()`. Our "
    "checkpoints do that.",
    holds=lambda seen: seen["shared"] == "RuntimeError" and seen["layout"] == "ValueError",
)
def safetensors_and_shared_memory() -> Seen:
    from safetensors.torch import save

    weight = torch.rand(4, 3, 2, 2)
    return {
        "shared": error_of(lambda: save({"a": weight, "b": weight})),
        "layout": error_of(lambda: save({"a": weight.to(memory_format=torch.channels_last)})),
        "slices": error_of(lambda: save({"a": weight[:2], "b": weight[2:]})),
    }


@row(
    TABLE,
    "Two tasks in one Ray worker that ask for different numbers of CPUs",
    libraries="ray",
    expect="Each task has as many torch threads as CPUs it asked for.",
    happens="A worker process keeps the thread count of its **first** task. A task that asks for 2 "
    "CPUs after one that asked for 1 has OMP_NUM_THREADS={variable} and {threads} torch thread.",
    cost="A study of mixed runs uses half of the machine, or twice, and timings of equal runs "
    "differ.",
    instead="Call `torch.set_num_threads` in the task: [Run it at scale](run-it-at-scale.html).",
    holds=lambda seen: seen["variable"] == "2" and seen["threads"] == 1,
    slow=True,
)
def threads_in_ray_workers() -> Seen:
    import os

    import ray

    kept = os.environ.pop("OMP_NUM_THREADS", None)  # Ray leaves alone what is set
    ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False)

    @ray.remote
    def threads() -> tuple[str, int]:
        import os

        import torch

        return os.environ.get("OMP_NUM_THREADS", "none"), torch.get_num_threads()

    try:
        ray.get(threads.options(num_cpus=1).remote())
        variable, count = ray.get(threads.options(num_cpus=2).remote())
    finally:
        ray.shutdown()
        if kept is not None:
            os.environ["OMP_NUM_THREADS"] = kept
    return {"variable": variable, "threads": count}


@row(
    TABLE,
    "Save a page of widgets with ipywidgets' `embed_minimal_html`",
    libraries="ipywidgets anywidget",
    expect="A page that works where the network is.",
    happens="Of a widget made with anywidget the page holds the changed value ({value}) and not "
    "the code, `_esm` ({code}): defaults are dropped, and the code counts as one.",
    cost="The saved explorer is a blank place, online and offline.",
    instead="[[widgets.EmbeddingExplorer]] saves one file with everything in it.",
    holds=lambda seen: (seen["code"], seen["value"]) == ("missing", "there"),
)
def embed_drops_widget_code() -> Seen:
    import anywidget
    import traitlets
    from ipywidgets.embed import embed_minimal_html

    class Counter(anywidget.AnyWidget):
        _esm = "export default { render({ model, el }) { el.textContent = 'drawn'; } }"
        value = traitlets.Int(0).tag(sync=True)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "page.html"
        embed_minimal_html(path, views=[Counter(value=41)])
        text = path.read_text()
    held = {True: "there", False: "missing"}
    return {"code": held["el.textContent" in text], "value": held["41" in text]}


@row(
    TABLE,
    "`interact` with two floats: the steps of the slider",
    libraries="ipywidgets",
    expect="Steps that fit the range.",
    happens="`interact(f, rate=(0.0001, 0.01))` has a step of {step}, larger than the range, and "
    "the readout `{readout}` shows 0.00 for every learning rate below 0.005.",
    cost="A slider for a learning rate has one position.",
    instead="Name the choices: [[widgets.interact]] takes lists.",
    holds=lambda seen: seen["step"] == 0.1 and seen["readout"] == ".2f",
)
def steps_of_interact() -> Seen:
    from ipywidgets.widgets.interaction import interactive

    slider = interactive(lambda rate: None, rate=(0.0001, 0.01)).children[0]
    return {"step": slider.step, "readout": slider.readout_format}


@row(
    TABLE,
    "A notebook with `pip install` turned into a script by jupytext",
    libraries="jupytext",
    expect="Shell lines become comments.",
    happens="`%pip install x` and `!ls` do; a bare `pip install x`, which IPython runs as well, "
    "stays as it is, and reading the script ends with {error}.",
    cost="A chapter that runs in Colab is a script with a syntax error.",
    instead="Write `%pip`; the set-up cells of this book do.",
    holds=lambda seen: (seen["magic"], seen["error"]) == ("no error", "SyntaxError"),
)
def bare_pip_install_in_a_script() -> Seen:
    import ast

    import jupytext
    from nbformat.v4 import new_code_cell, new_notebook

    def script(line: str) -> str:
        return jupytext.writes(new_notebook(cells=[new_code_cell(line)]), fmt="py:percent")

    return {
        "magic": error_of(lambda: ast.parse(script("%pip install x"))),
        "error": error_of(lambda: ast.parse(script("pip install x"))),
    }


@row(
    TABLE,
    "A time limit of 3 seconds for a notebook (nbclient, jupyter-book)",
    libraries="nbclient ipykernel",
    expect="The notebook stops after 3 seconds.",
    happens="The limit is for each cell: three cells of 1.5 seconds took {seconds:.1f} seconds and "
    "ended with {error}.",
    cost="`timeout: 60` in `_config.yml` does not keep a page below a minute.",
    instead="Add up the times of the cells: the table in [Built with](built-with.html) does.",
    holds=lambda seen: seen["error"] == "no error" and seen["seconds"] > 4.5,
    slow=True,
)
def time_limit_is_for_a_cell() -> Seen:
    import time

    from nbclient import NotebookClient
    from nbformat.v4 import new_code_cell, new_notebook

    book = new_notebook(cells=[new_code_cell("import time; time.sleep(1.5)")] * 3)
    started = time.perf_counter()
    error = error_of(lambda: NotebookClient(book, timeout=3).execute())
    return {"seconds": time.perf_counter() - started, "error": error}


def build(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the jupyter-book of this environment; its exit status and all that it said."""
    tool = Path(sys.executable).with_name("jupyter-book")
    return subprocess.run(
        [str(tool), "build", ".", *options], cwd=folder, text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def small_book(folder: Path, page: str, config: str = "") -> None:
    (folder / "_config.yml").write_text(f"title: Small\n{config}")
    (folder / "_toc.yml").write_text("format: jb-book\nroot: page\n")
    (folder / "page.md").write_text(page)


@row(
    TABLE,
    "The second strict build of a book with a fault (Jupyter Book 1)",
    libraries="jupyter-book",
    expect="It fails as the first one did.",
    happens="First build: status {first}. Second build, nothing changed: status {second}. A page "
    "that was read with a warning is not read again.",
    cost="A broken page passes after a retry, at home and in a CI that keeps `_build`.",
    instead="Delete `_build/.doctrees` after a failure; `make book` does.",
    holds=lambda seen: seen["first"] != 0 == seen["second"],
    slow=True,
)
def second_strict_build_is_green() -> Seen:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small_book(folder, "# Page\n\n[nowhere](missing.md)\n", "execute: {execute_notebooks: off}")
        first, second = (build(folder, "-W", "-n", "--keep-going") for _ in range(2))
    return {"first": first.returncode, "second": second.returncode}


@row(
    TABLE,
    "A MyST page without the jupytext block at its top (Jupyter Book 1)",
    libraries="jupyter-book",
    expect="Its code cells run, or the build fails.",
    happens="Status {status}; the page shows {outputs} outputs for its code cell. With the block "
    "it shows {given}.",
    cost="A chapter whose figures are missing goes online.",
    instead="Build with `-W`: the only trace is a warning. Our tests count the outputs of pages.",
    holds=lambda seen: seen["status"] == 0 and seen["outputs"] == 0 < seen["given"],
    slow=True,
)
def page_without_front_matter() -> Seen:
    page = "# Page\n\n```{code-cell} ipython3\nprint('IS', 1 + 1)\n```\n"
    seen = {}
    for key, text in {"outputs": page, "given": FRONT + page}.items():
        with tempfile.TemporaryDirectory() as name:
            small_book(Path(name), text)
            status = build(Path(name)).returncode
            shown = (Path(name) / "_build/html/page.html").read_text()
            seen |= {"status": status} if key == "outputs" else {}
            seen[key] = shown.count("IS 2")
    return seen


@row(
    TABLE,
    "Change a module that a cached page imports (Jupyter Book 1)",
    libraries="jupyter-book",
    expect="The page runs again.",
    happens="It shows {shown} where the module now says 2: the cache compares the text of the "
    "code cells, and the page is not even read.",
    cost="The book shows numbers of code that no longer exists.",
    instead="This book's cache has a name made from the package's sources and records.",
    holds=lambda seen: seen["shown"] == "1",
    slow=True,
)
def cached_page_ignores_modules() -> Seen:
    import re

    page = (
        FRONT + "# Page\n\n```{code-cell} ipython3\nimport value\nprint('IS', value.VALUE)\n```\n"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small_book(folder, page, "execute: {execute_notebooks: cache}")
        for number in (1, 2):
            (folder / "value.py").write_text(f"VALUE = {number}\n")
            build(folder)
        shown = re.findall(r"IS (\d)", (folder / "_build/html/page.html").read_text())
    return {"shown": shown[-1] if shown else "nothing"}


@row(
    TABLE,
    "Equal code on two pages, and the cache (Jupyter Book 1)",
    libraries="jupyter-book",
    expect="Each page has its own output.",
    happens="Two pages in folders a and b that print the name of their folder show {shown}: equal "
    "code cells share one run.",
    cost="A page that reads its settings from a file beside it shows another page's numbers.",
    instead="Let code cells differ where their results should.",
    holds=lambda seen: seen["shown"] in ("a and a", "b and b"),
    slow=True,
)
def equal_code_shares_one_run() -> Seen:
    import re

    page = (
        FRONT + "# Page\n\n```{code-cell} ipython3\nfrom pathlib import Path\n"
        "print('IN', Path.cwd().name)\n```\n"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small_book(folder, "# Root\n", "execute: {execute_notebooks: cache}")
        (folder / "_toc.yml").write_text(
            "format: jb-book\nroot: page\nchapters:\n- file: a/one\n- file: b/two\n"
        )
        for path in ("a/one.md", "b/two.md"):
            (folder / path).parent.mkdir()
            (folder / path).write_text(page)
        build(folder)
        shown = [
            re.findall(r"IN (\w+)", (folder / "_build/html" / path).read_text())[-1]
            for path in ("a/one.html", "b/two.html")
        ]
    return {"shown": " and ".join(shown)}


@row(
    TABLE,
    "A plain `pip install jupyter-book`, and a book of version 1",
    libraries="pip",
    expect="An error that names the old format, or a built book.",
    happens="Version 2 comes. `jupyter-book build --html` (2.1.7) writes {pages} pages, speaks "
    "{named} times of the other version and ends with status {status}.",
    cost="A reader of any book of version 1, or its CI, sees success and an empty folder.",
    instead='`pip install -e ".[book]"` takes version 1; under version 2 this book says so itself.',
    holds=lambda seen: seen["status"] == seen["pages"] == seen["named"] == 0,
    slow=True,
)
def book_of_version_one_under_two() -> Seen:
    """Run in an environment of its own, since the two versions exclude each other."""
    import os
    import re

    with tempfile.TemporaryDirectory() as name:
        folder, home = Path(name) / "book", Path(name) / "env"
        folder.mkdir()
        small_book(folder, "# Page\n")
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
        subprocess.run([home / "bin/pip", "install", "--quiet", "jupyter-book==2.1.7"], check=True)
        done = subprocess.run(
            [home / "bin/jupyter-book", "build", "--html"], cwd=folder, stdin=subprocess.DEVNULL,
            capture_output=True, text=True,
            env=os.environ | {"PATH": f"{home}/bin:{os.environ['PATH']}"},
        )  # fmt: skip
        pages = sum(1 for path in folder.rglob("*.html"))
    named = re.findall("version 1|Jupyter Book 1|_config", done.stdout + done.stderr)
    return {"status": done.returncode, "pages": pages, "named": len(named)}


@row(
    TABLE,
    "timm's cosine schedule with a warm-up",
    libraries="timm",
    expect="Up to the rate that was asked for, then the cosine down from it.",
    happens="The largest rate is {usual:.2f} of it (10 epochs, 3 of warm-up): the cosine has been "
    "running since epoch 0. With `warmup_prefix=True` it is {prefix:.2f}.",
    cost="Two arms with different warm-ups also have different rates, and neither has the one that "
    "is in the paper.",
    instead="`warmup_prefix=True`, and plot the rate before the run.",
    holds=lambda seen: seen["usual"] < 0.9 and seen["prefix"] == 1,
)
def warmup_of_timm() -> Seen:
    from timm.scheduler import CosineLRScheduler

    def largest(prefix: bool) -> float:
        optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        schedule = CosineLRScheduler(
            optimiser, t_initial=10, warmup_t=3, warmup_lr_init=0.1, warmup_prefix=prefix
        )
        rates = []
        for epoch in range(10):
            schedule.step(epoch)
            rates.append(optimiser.param_groups[0]["lr"])
        return max(rates)

    return {"usual": largest(False), "prefix": largest(True)}


@row(
    TABLE,
    "The order of tensors in a safetensors file",
    libraries="safetensors",
    expect="As they were saved, as in a dictionary.",
    happens="Names come back sorted as text: saved {saved}, loaded {loaded}.",
    cost="Code that zips the values with a model's parameters swaps layers of equal shape, with no "
    "error.",
    instead="Load by name: `load_state_dict`.",
    holds=lambda seen: seen["saved"] != seen["loaded"],
)
def order_of_tensors_in_safetensors() -> Seen:
    from safetensors.torch import load_file, save_file

    saved = {name: torch.zeros(1) for name in ("layer2", "layer10")}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.safetensors"
        save_file(saved, path)
        return {"saved": ", ".join(saved), "loaded": ", ".join(load_file(path))}


@row(
    TABLE,
    "Save a transposed array with safetensors' NumPy functions",
    libraries="safetensors",
    expect="The same array back, or an error as for tensors of torch.",
    happens="The rows {saved} come back as {back}: the right shape, and numbers in other places. "
    "The same of torch is refused ({torch}). Version 0.7 wrote the array rightly.",
    cost="Features saved as a `.T`, or images whose channels were moved to the front, are noise "
    "when they are read again, with no error.",
    instead="`np.ascontiguousarray` before saving, or `np.savez`, as our arrays do.",
    holds=lambda seen: seen["back"] != seen["saved"] and seen["torch"] == "ValueError",
)
def transposed_array_in_safetensors() -> Seen:
    from safetensors.numpy import load, save
    from safetensors.torch import save as save_tensors

    def text(array: np.ndarray) -> str:
        return "; ".join(" ".join(map(str, row)) for row in array.tolist())

    array = np.arange(6, dtype=np.int64).reshape(2, 3).T
    tensor = torch.arange(6).reshape(2, 3).T
    return {
        "saved": text(array),
        "back": text(load(save({"x": array}))["x"]),
        "torch": error_of(lambda: save_tensors({"x": tensor})),
    }


@row(
    TABLE,
    "A fenced example in a Markdown cell, through jupytext's MyST format",
    libraries="jupytext nbformat",
    expect="Text stays text.",
    happens="A Markdown cell that shows a `code-cell` fence comes back as a **{kind}** cell, and "
    "runs. One with a line `+++` comes back as {cells} cells.",
    cost="A page about MyST executes its own examples after a round trip.",
    instead="Pair such notebooks with `py:percent`.",
    holds=lambda seen: seen["kind"] == "code" and seen["cells"] == 2,
)
def fenced_example_becomes_code() -> Seen:
    import jupytext
    from nbformat.v4 import new_markdown_cell, new_notebook

    def back(text: str) -> list:
        book = new_notebook(cells=[new_markdown_cell(text)])
        return jupytext.reads(jupytext.writes(book, fmt="md:myst"), fmt="md:myst").cells

    return {
        "kind": back("```{code-cell}\nprint(1)\n```")[0].cell_type,
        "cells": len(back("one\n\n+++\n\ntwo")),
    }


@row(
    TABLE,
    "Cache features of tensors with joblib",
    libraries="joblib torch",
    expect="Equal tensors have equal hashes, as NumPy arrays have.",
    happens="A tensor and the equal first half of a longer one have {tensors} hashes; the same "
    "pair of arrays has {arrays}.",
    cost="`joblib.Memory` computes again what it has, and its folder fills.",
    instead="Hash `tensor.numpy()`.",
    holds=lambda seen: seen["tensors"] == 2 and seen["arrays"] == 1,
)
def hashes_of_equal_tensors() -> Seen:
    import joblib

    pair = torch.arange(6.0), torch.arange(12.0)[:6]
    return {
        "tensors": len({joblib.hash(x) for x in pair}),
        "arrays": len({joblib.hash(x.numpy()) for x in pair}),
    }


@row(
    TABLE,
    "LARS without weight decay",
    libraries="timm",
    expect="The step is scaled by the norm of the weight over that of its gradient, with a decay "
    "of 0 as with one of 1e-9.",
    happens="With 0 timm's `Lars` makes SGD's step, {plain:.4f}; with 1e-9 it makes {scaled:.4f}. "
    "lightly's `LARS` does the same.",
    cost="A learning rate that was chosen for LARS is used by SGD wherever decay is switched off, "
    "as it is for norm layers and biases, or in an ablation of weight decay.",
    instead="`always_adapt=True` in timm, a decay of 1e-9 in lightly. Leave norm layers and biases "
    "out on purpose, and not by accident.",
    holds=lambda seen: seen["plain"] > 30 * seen["scaled"],
)
def lars_without_weight_decay() -> Seen:
    import torch
    from timm.optim import Lars

    def step(decay: float) -> float:
        weight = torch.nn.Parameter(torch.full((4, 4), 2.0))
        weight.grad = torch.full((4, 4), 0.1)
        Lars([weight], lr=0.1, weight_decay=decay).step()
        return 2 - float(weight.detach()[0, 0])

    return {"plain": step(0.0), "scaled": step(1e-9)}
