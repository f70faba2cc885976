#!/usr/bin/env bash
# onnxruntime's ReduceMax and ArgMax see a nan only where it is the first of its row.
# Versions: onnxruntime 1.32.0, onnx 1.23.2, numpy 2.4.6.
# Expected (a first guess): nan, and its place, wherever it is, as in NumPy, PyTorch and the
# reference evaluator of onnx, so a broken row of an exported model shows.
# Seen: a nan at the second place or later is left out: the maximum of (1, nan, 3) is 3 at place 2,
# that of (nan, 1, 3) is nan at place 0. ReduceMin is the same, and a max pool over a row that ends
# with a nan is nan. The operator Max of two rows does keep a nan, and so do Relu and Softmax: a
# spoilt row has a spoilt softmax, and a clean prediction.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator


def run(op, row, axes=None, kind=TensorProto.FLOAT, **attributes):
    extra = [numpy_helper.from_array(axes, "axes")] if axes is not None else []
    node = helper.make_node(op, ["x"] + ["axes"] * len(extra), ["y"], **attributes)
    graph = helper.make_graph([node], "g", [helper.make_tensor_value_info(
        "x", TensorProto.FLOAT, [1, 3])], [helper.make_tensor_value_info("y", kind, None)], extra)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    x = np.float32([row])
    return session.run(None, {"x": x})[0], ReferenceEvaluator(model).run(None, {"x": x})[0]


seen = {}
for row in ((np.nan, 1, 3), (1, np.nan, 3), (1, 3, np.nan)):
    largest = run("ReduceMax", row, np.int64([1]), keepdims=0)
    place = run("ArgMax", row, kind=TensorProto.INT64, axis=1, keepdims=0)
    softmax = run("Softmax", row, axis=1)[0]
    seen[row] = [float(largest[0][0]), int(place[0][0])]
    print(f"{row}: onnxruntime {seen[row]}, reference "
          f"{[float(largest[1][0]), int(place[1][0])]}; softmax {softmax[0]}")
    assert np.isnan(largest[1][0]) and place[1][0] == int(np.argmax(np.float32(row)))
    assert np.isnan(softmax).all()
first, second, last = seen.values()
assert np.isnan(first[0]) and first[1] == 0 and second == [3, 2] and last == [3, 1]
PYTHON
