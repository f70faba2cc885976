#!/usr/bin/env bash
# A plotly figure that was made from a NumPy array comes back from its own JSON with a dict for y.
# Versions: plotly 7.1.0, numpy 2.4.6.
# Expected (a first guess): from_json(figure.to_json()) is the figure: data[0].y is an array of four
# numbers, as it is where the figure was made from a list (a tuple there).
# Seen: y is a dict of two entries, dtype and bdata, the bytes in base64. len() says 2. The two
# inputs differ in another way as well: an infinity becomes null from a list and stays in an array.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  plotly==7.1.0 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import base64
import json

import numpy as np
import plotly.graph_objects as go
import plotly.io as pio

values = [1.0, 2.0, float("inf"), 4.0]
texts = [go.Figure(go.Scatter(y=y)).to_json() for y in (values, np.array(values))]
from_list, from_array = (pio.from_json(text).data[0].y for text in texts)
raw = json.loads(texts[1])["data"][0]["y"]["bdata"]
kept = np.frombuffer(base64.b64decode(raw)).tolist()
print(f"from a list {from_list}; from an array {from_array}, which holds {kept}")
assert from_list == (1.0, 2.0, None, 4.0) and kept == values
assert isinstance(from_array, dict) and len(from_array) == 2
PYTHON
