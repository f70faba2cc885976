"""security: nothing that comes in a file is run, and nothing of it becomes markup."""

import ast
import json
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from recorded import make

import contrastive_tutorial
from contrastive_tutorial import data
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.files import storage
from contrastive_tutorial.records import load_record
from contrastive_tutorial.train.checkpoints import read
from contrastive_tutorial.widgets import fragment, player

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = Path(contrastive_tutorial.__file__).parent
SOURCES = sorted(
    [*PACKAGE.rglob("*.py"), *ROOT.glob("book/*.py"), *ROOT.glob("book/_ext/*.py"),
     *ROOT.glob("benchmarks/*.py")]
)  # fmt: skip
#: Modules that load pickles, and functions that run text.
PICKLERS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
RUNNERS = {"eval", "exec", "compile", "__import__"}
ATTACK = "<img src=x onerror=alert(1)></script><script>alert(2)</script>"


def dangers(source):
    """What in a module's source could run what a file says: name and line."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [(a.name, node.lineno) for a in node.names if a.name.split(".")[0] in PICKLERS]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in PICKLERS:
            found.append((node.module, node.lineno))
        elif isinstance(node, ast.Call):
            call = ast.unparse(node.func)
            options = {k.arg: ast.unparse(k.value) for k in node.keywords}
            unsafe = (
                (call in RUNNERS)
                or (call == "torch.load" and options.get("weights_only") != "True")
                or (call in ("np.load", "numpy.load") and options.get("allow_pickle") != "False")
                or (call.startswith("yaml.") and call.endswith("load") and "safe" not in call)
                or call in ("os.system", "os.popen", "read_pickle", "pd.read_pickle")
                or options.get("shell") == "True"
            )
            found += [(call, node.lineno)] if unsafe else []
    return found


def test_no_source_loads_a_pickle_or_runs_text():
    found = {path: dangers(path.read_text(encoding="utf-8")) for path in SOURCES}
    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "source",
    ["import pickle", "from joblib import load", "torch.load(f)", "np.load(f)", "eval(x)",
     "torch.load(f, weights_only=False)", "np.load(f, allow_pickle=True)", "yaml.load(f)",
     "subprocess.run(x, shell=True)"],
)  # fmt: skip
def test_the_search_finds_what_it_looks_for(source):
    assert dangers(source)


class Planted:
    """A pickle of this writes a file when it is loaded."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (Path.touch, (Path(self.path),))


def test_planted_pickles_stay_asleep(tmp_path):
    trap = tmp_path / "ran"
    planted = pickle.dumps(Planted(trap))
    pickle.loads(planted)
    assert trap.exists(), "the trap works"
    trap.unlink()

    record = make().save(tmp_path / "results")
    record.write_bytes(planted)
    with pytest.raises(InputError):
        load_record(record)
    for name, content in (
        ("plain.npz", planted),
        ("torch.npz", None),
        ("object.npz", None),
    ):
        path = tmp_path / name
        if name == "torch.npz":
            torch.save(Planted(trap), path)
        elif name == "object.npz":
            np.savez(path, a=np.array([Planted(trap)], dtype=object))
        else:
            path.write_bytes(content)
        with pytest.raises(InputError):
            storage.load_arrays(path)
        with pytest.raises(InputError, match="damaged"):
            read(path, "{}")
        # an image folder that holds it, and a cache that was replaced by it
        folder = tmp_path / f"images-{name}" / "cat"
        folder.mkdir(parents=True)
        (folder / "1.png").write_bytes(path.read_bytes())
        with pytest.raises(InputError):
            data.load(folder.parent, cache=tmp_path / "cache")
        archive = tmp_path / f"{name}.tar"
        archive.write_bytes(path.read_bytes())
        with pytest.raises(InputError):
            data.load(archive, cache=tmp_path / "cache")
    assert not trap.exists()


def test_text_becomes_no_markup():
    page = fragment.page("<p>body</p>", ATTACK)
    assert "<img" not in page
    assert "alert(2)</script>" not in page
    held = fragment.json_for_script({"name": ATTACK})
    assert "<" not in held
    assert json.loads(held) == {"name": ATTACK}


def test_scripts_of_the_package_take_text_as_text():
    """Two places put HTML into a page: the player, with what the author's own function returned,
    and the lab's curves, which are numbers and class names of its own."""
    places = []
    for path in sorted((PACKAGE / "widgets" / "static").rglob("*.js")):
        source = path.read_text(encoding="utf-8")
        pattern = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function"
        places += [(path.name, m.group()) for m in re.finditer(pattern, source)]
    assert sorted(places) == [("player.js", "innerHTML"), ("view.js", "innerHTML")]
    assert player.__doc__


def test_the_served_book_is_for_this_machine_alone():
    served = [
        line for line in (ROOT / "Makefile").read_text().splitlines() if "http.server" in line
    ]
    assert served
    assert all("--bind 127.0.0.1" in line for line in served)
