"""CONTRIBUTING.md: its examples run as they stand, and do what the text around them says."""

import dataclasses
import math
import re
from pathlib import Path

import pytest
import torch
from torch import nn

import contrastive_tutorial
from contrastive_tutorial import augment, norm
from contrastive_tutorial.records import find_record, load_record
from contrastive_tutorial.study.cells import CELLS
from contrastive_tutorial.study.runner import require_definition

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
CODE = re.compile(r"^(?P<fence>`{3,})python\n(?P<code>.*?)^(?P=fence)$", re.MULTILINE | re.DOTALL)
EXAMPLES = ("Add a policy", "Add a norm", "Add a cell", "Add a chapter")


def code_under(heading):
    """The only Python block of a section. The chapter's page has headings of its own inside."""
    (block,) = CODE.finditer(TEXT, TEXT.index(f"\n## {heading}\n"), _end(heading))
    return block["code"]


def _end(heading):
    following = EXAMPLES[EXAMPLES.index(heading) + 1 :]
    return TEXT.index(f"\n## {following[0]}\n") if following else len(TEXT)


@pytest.fixture
def executed(monkeypatch):
    """Run a section's example in the root of the checkout; return what it defined."""
    monkeypatch.chdir(ROOT)

    def execute(heading):
        names = {"__name__": "example"}
        exec(compile(code_under(heading), f"CONTRIBUTING.md, {heading}", "exec"), names)
        return names

    return execute


def test_every_example_of_the_page_is_run_here():
    assert len(list(CODE.finditer(TEXT))) == len(EXAMPLES)


def test_a_policy(executed, capsys):
    found = executed("Add a policy")
    views = found["views"]
    assert (views.shape, views.dtype) == ((10, 3, 32, 32), torch.float32)
    assert views.min() >= 0
    assert views.max() <= 1
    assert "blur" in capsys.readouterr().out
    mist = found["mist"]

    def without(**fields):
        """The same draws, hence the same crops, under a policy that lacks something."""
        table = (found["table"][0], dataclasses.replace(mist, **fields))
        params = augment.sample(table, found["ids"], torch.Generator().manual_seed(0))
        return augment.apply(found["images"], params)

    def roughness(x):
        return (x[..., 1:] - x[..., :-1]).abs().mean((1, 2, 3))

    assert (roughness(views) < roughness(without(blur=0.0))).tolist() == [False] * 5 + [True] * 5
    brighter = views.mean((1, 2, 3)) > without(shift=0.0).mean((1, 2, 3))
    assert brighter.tolist() == [False] * 5 + [True] * 5
    assert found["params"].steps == ("shift", "blur")
    again = augment.sample(found["table"], found["ids"], torch.Generator().manual_seed(0))
    assert torch.equal(augment.apply(found["images"], again), views)
    assert found["mist"].name not in {policy.name for policy in augment.POLICIES}


def test_a_norm(executed):
    found = executed("Add a norm")
    layer = found["BareSplitNorm2d"](8, 2)
    assert list(layer.parameters()) == []
    x = torch.rand(12, 8, 4, 4)
    other = torch.cat([x[:6], torch.rand(6, 8, 4, 4)])
    assert torch.equal(layer(x)[:6], layer(other)[:6])
    assert torch.allclose(layer(x).view(2, 6, 8, 16).mean((1, 3)), torch.zeros(2, 8), atol=1e-5)
    assert (found["h"].shape, found["h"].dtype) == ((8, 128), torch.float32)
    assert layer.branches == 2
    kinds = [type(m) for m in found["back"].modules() if hasattr(m, "running_mean")]
    assert kinds == [nn.BatchNorm2d] * 2


def test_the_norm_keeps_the_contract_of_all_kinds(executed):
    layer = executed("Add a norm")["BareSplitNorm2d"](8, 2, eps=1e-3, momentum=0.2)
    layer(torch.rand(12, 8, 4, 4) * torch.arange(1, 9).view(8, 1, 1))
    mean, var = layer.moments()
    for kind in norm.KINDS:
        model = nn.Sequential(layer)
        converted = norm.convert_norm(model, kind, 2, total_steps=100)[0]
        if kind in ("gn", "none"):
            continue
        plain = norm.convert_norm(nn.Sequential(converted), "bn")[0]
        assert (plain.eps, plain.momentum, plain.training) == (1e-3, 0.2, True), kind
        assert torch.allclose(plain.running_mean, mean), kind
        assert torch.allclose(plain.running_var, var, rtol=1e-4), kind


def test_a_cell(executed, tmp_path):
    found = executed("Add a cell")
    assert found["differs"] == ["policy"]
    assert found["split_random"].name not in CELLS
    record = found["record"]
    assert len(record.loss_curve) == 3
    assert all(math.isfinite(loss) for _, loss in record.loss_curve)
    assert 0 <= record.metrics["cluster_accuracy"] <= 1
    assert load_record(record.save(tmp_path)).metrics == record.metrics


def test_a_chapter(executed, capsys, monkeypatch):
    jupytext = pytest.importorskip("jupytext", reason="the extra `book` is not installed")
    pytest.importorskip("pybtex", reason="the extra `book` is not installed")
    nbformat = pytest.importorskip("nbformat")
    monkeypatch.syspath_prepend(str(ROOT / "book"))  # what the example adds goes with this
    found = executed("Add a chapter")
    page = found["PAGE"]
    assert "{code-cell}" in page
    assert "{term}`" in page
    assert found["book"].titles["11-floor"] == "How low can the loss go?"
    assert "ex-floor-one" in found["book"].exercises

    # What the notebooks of the book must satisfy (test_colab.py).
    cells = nbformat.reads(found["notebook"], as_version=4).cells
    words = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    assert not re.search(r"^\s*(`{3,}|:{3,})\{|\{[a-z:]+\}`|\{\{", words, re.MULTILINE)
    assert "glossary.html#term-anchor" in words
    assert "<summary><b>Solution</b></summary>" in words
    assert r"\log 199" in words

    # Its code runs, shows a figure with words, a widget with frames, and checks the exercise.
    names, shown = {}, []
    monkeypatch.setattr("IPython.display.display", shown.append)
    code = [c.source for c in jupytext.reads(page, fmt="md:myst").cells if c.cell_type == "code"]
    for source in code:
        exec(source, names)
    (picture,) = shown
    assert picture.alt.startswith("The loss of an embedding")
    player = names["widgets"].interact(names["floor"], static=True, groups=names["GROUPS"])
    assert player.num_frames == len(names["GROUPS"])
    capsys.readouterr()
    exec(code[-1].replace("...  # your turn", "__import__('math').log(199)"), names)
    assert "one embedding for all" in capsys.readouterr().out
    assert math.isclose(names["losses"].nt_xent_floor(100), math.log(199))


def test_files_that_are_named_are_there():
    page = TEXT[: TEXT.index("`````python")] + TEXT[TEXT.rindex("`````\n") :]
    named = set(re.findall(r"`((?:[\w-]+/)*[\w-]+\.(?:py|md|yml|toml|txt|bib))`", page))
    package = Path(contrastive_tutorial.__file__).parent
    folders = (ROOT, *(ROOT / "tests").iterdir(), package, package.parent)
    missing = {name for name in named if not any((folder / name).exists() for folder in folders)}
    assert missing == {"book/11-floor.md", "book/NN-name.md"}  # the example's, and any page's


def test_commands_that_are_named_are_there():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^)make ([a-z-]+)", TEXT, re.MULTILINE))
    assert named <= targets
    assert named >= {"book", "test", "test-lowest", "test-latest", "faults", "reproduce"}
    assert "contrastive-tutorial doctor" in TEXT


def test_the_record_to_reproduce_is_one_that_this_package_computes():
    row = re.search(r"`make reproduce (.*?) DATA=PATH`", TEXT)[1]
    makefile = (ROOT / "Makefile").read_text()
    given = dict(re.findall(r"^([A-Z]+) \?= (\S+)$", makefile, re.MULTILINE))
    given |= dict(pair.split("=") for pair in row.split())
    asked = given["PRESET"], given["CELL"], int(given["SUBSETS"]), int(given["SEED"])
    require_definition(load_record(find_record(ROOT / "results", *asked)), "choose another one")
