#!/usr/bin/env bash
# In Hydra the word off is False in a file and the text "off", which counts as true, on the command
# line.
# Versions: hydra-core 1.3.8, omegaconf 2.3.1.
# Expected (a first guess): an override gives what the same line in the file gives: file and
# command line are one language, YAML.
# Seen: off and yes are booleans in the file and text on the command line, so normalize=off turns a
# thing on. In the file 1:30 is 90 and 007 is 7; on the command line both are text. nan is text in
# the file and a number on the command line. Write false, which is the same in both.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  hydra-core==1.3.8 omegaconf==2.3.1
"$work/env/bin/python" -W ignore - <<'PYTHON'
import sys
from pathlib import Path

import hydra

folder = Path(sys.prefix) / "conf"
folder.mkdir()
words = ["off", "yes", "1:30", "007", "nan", "false"]
(folder / "written.yaml").write_text("".join(f"k{i}: {word}\n" for i, word in enumerate(words)))
(folder / "empty.yaml").write_text("".join(f"k{i}: null\n" for i in range(len(words))))
with hydra.initialize_config_dir(str(folder), version_base=None):
    written = hydra.compose("written")
    said = hydra.compose("empty", overrides=[f"k{i}={word}" for i, word in enumerate(words)])
for i, word in enumerate(words):
    print(f"{word}: {written[f'k{i}']!r} in the file, {said[f'k{i}']!r} on the command line")
assert list(written.values()) == [False, True, 90, 7, "nan", False]
assert list(said.values())[:4] == ["off", "yes", "1:30", "007"]
assert said.k0 and said.k4 != said.k4 and said.k5 is False
PYTHON
