"""Scripts of a widget without a browser: what node makes of them, and what they are given."""

import json
import re
import shutil
import subprocess

import pytest


def node(*arguments, given=""):
    """The JSON that a program of node prints; ``given`` on standard input, as text or JSON."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    text = given if isinstance(given, str) else json.dumps(given)
    command = ["node", *map(str, arguments)]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def state(widget):
    """What ``model.get`` of a widget's script returns."""
    return json.loads(re.search(r'json">(.*?)</script>', widget.html)[1])
