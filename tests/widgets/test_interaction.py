"""``interact`` decides between a live widget and a recorded player."""

import pytest

from contrastive_tutorial import widgets
from contrastive_tutorial.errors import InputError

CELLS = [
    """
import matplotlib.pyplot as plt
from contrastive_tutorial import widgets

def lines(k=2, norm="bn", log=False):
    plt.plot([0, k])
    plt.title(f"{norm} at {k}")
    if log:
        raise ValueError("no logarithm")

widgets.interact(lines, k=[1, 2, 5], norm={"BN": "bn", "Split": "split"}, log=bool)
""",
    # What a front end shows comes back to the kernel between cells, so each move has its own.
    """
moved = widgets.interact(lines, k=[1, 2, 5], norm=["bn", "split"], log=[False, True])
moved.children[0].value = 2
moved.children[1].value = 1
""",
    """
print(moved.out.outputs[-1]["data"]["text/plain"])
moved.children[2].value = True
""",
    """
print(moved.out.outputs[-1]["ename"], plt.get_fignums())
""",
    """
import os

os.environ["CONTRASTIVE_TUTORIAL_BOOK"] = "1"
widgets.interact(lines, k=[1, 2, 5], norm={"BN": "bn", "Split": "split"}, log=bool)
""",
]


def printed(outputs):
    """All that a cell printed: a kernel may send one line in several messages."""
    return "".join(o["text"] for o in outputs if o["output_type"] == "stream").strip()


@pytest.fixture(scope="module")
def outputs():
    """Of each cell, run in one kernel."""
    nbformat = pytest.importorskip("nbformat", reason="the extra `book` is not installed")
    nbclient = pytest.importorskip("nbclient", reason="the extra `book` is not installed")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    # Where a cell moves widgets, nbclient now and then sees the reply only once its time is over
    # (jupyter/nbclient issue 312): only the first cell, which imports, gets a long time.
    client = nbclient.NotebookClient(
        notebook,
        timeout_func=lambda cell: 120 if cell is notebook.cells[0] else 30,
        kernel_name="python3",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CONTRASTIVE_TUTORIAL_BOOK", raising=False)
        patch.setenv("OMP_NUM_THREADS", "1")
        client.execute()
    return [cell.outputs for cell in notebook.cells]


def test_with_a_kernel_it_is_alive(outputs):
    (output,), _, moved, failed, _ = outputs
    assert "application/vnd.jupyter.widget-view+json" in output["data"]
    assert printed(moved) == "split at 5"
    assert printed(failed) == "ValueError []"


def test_in_a_book_build_the_same_cell_leaves_a_recording(outputs):
    (output,) = outputs[-1]
    assert output["output_type"] == "execute_result"
    assert set(output["data"]) == {"text/html", "image/png", "text/plain"}
    assert output["data"]["text/plain"].startswith("lines: recorded for 12 combinations")
    assert "At k = 2, norm = BN, log = False: bn at 2" in output["data"]["text/plain"]


def test_outside_jupyter_it_is_recorded():
    player = widgets.interact(lambda k: k, k=[1, 2], name="numbers")
    assert isinstance(player, widgets.Player)
    assert player.name == "numbers"


def test_arguments_reach_the_recording():
    with pytest.raises(InputError, match="'many': 201 k = 201 combinations, more than 200"):
        widgets.interact(lambda k: k, k=range(201), name="many")
    player = widgets.interact(
        lambda k: k, k=[1], labels={"k": "subsets"}, describe=lambda k: f"K is {k}", static=True
    )
    assert player.controls[0].label == "subsets"
    assert "K is 1" in player.summary
