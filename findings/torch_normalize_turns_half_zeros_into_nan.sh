#!/usr/bin/env bash
# torch.nn.functional.normalize turns a float16 row of zeros into nan.
# Versions: torch 2.14.1.
# Expected (a first guess): zeros, as for float32: the argument eps is there "to avoid division by
# zero", and bfloat16 gives zeros.
# Seen: its default of 1e-12 is 0 in float16, whose smallest number is 6e-8, so 0 is divided by 0;
# cosine_similarity with its eps of 1e-8 does the same. One dead row, or one that float16 rounds to
# zero, makes the mean of a batch of losses nan. eps=1e-7 gives zeros.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet torch==2.14.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import torch
from torch.nn.functional import cosine_similarity, normalize

seen = {}
for kind in (torch.float32, torch.bfloat16, torch.float16):
    zeros, ones = torch.zeros(1, 4, dtype=kind), torch.ones(1, 4, dtype=kind)
    tiny = normalize(torch.full((1, 4), 1e-8).to(kind))
    seen[kind] = [bool(value.isnan().any()) for value in
                  (normalize(zeros), cosine_similarity(zeros, ones), tiny)]
    told = bool(normalize(zeros, eps=1e-7).isnan().any())
    print(f"{kind}: nan for a row of zeros {seen[kind][0]}, for its cosine {seen[kind][1]}, "
          f"for a row of 1e-8 {seen[kind][2]}; with eps=1e-7 {told}")
    assert not told
assert not any(seen[torch.float32] + seen[torch.bfloat16]) and all(seen[torch.float16])
PYTHON
