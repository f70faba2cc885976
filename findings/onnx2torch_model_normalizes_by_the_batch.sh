#!/usr/bin/env bash
# A model that onnx2torch made from an ONNX file normalises by its batch, and changes when it is
# asked.
# Versions: onnx2torch 1.5.15, onnx 1.23.2, torch 2.14.1.
# Expected (a first guess): an ONNX file is a network for inference, so the module gives what ONNX
# gives: here (x - 5) / 2, by the stored statistics.
# Seen: the module is in training mode. The first call gives -1 and 1 instead of 2 and 3, and has
# moved the running mean from 5 to 5.5, so eval() after it is too late. Call eval() on what convert
# returns before anything else.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  onnx2torch==1.5.15 onnx==1.23.2 torch==2.14.1 torchvision==0.29.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import torch
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx2torch import convert

values = {"scale": 1, "bias": 0, "mean": 5, "var": 4}
model = helper.make_model(helper.make_graph(
    [helper.make_node("BatchNormalization", ["x", *values], ["y"])], "one layer",
    [helper.make_tensor_value_info("x", 1, ["rows", 2])],
    [helper.make_tensor_value_info("y", 1, ["rows", 2])],
    [numpy_helper.from_array(np.full(2, value, np.float32), name)
     for name, value in values.items()]),
    opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
x = np.array([[9, 9], [11, 11]], np.float32)


def column(y):
    return [round(float(value), 2) for value in y[:, 0]]


right = column(ReferenceEvaluator(model).run(None, {"x": x})[0])
module, early = convert(model), convert(model).eval()
called = column(module(torch.tensor(x)))
late = column(module.eval()(torch.tensor(x)))
first = column(early(torch.tensor(x)))
print("ONNX:", right, "as converted:", called, "eval() afterwards:", late, "eval() first:", first)
assert right == first == [2, 3] and called == [-1, 1] and late == [1.8, 2.82]
PYTHON
