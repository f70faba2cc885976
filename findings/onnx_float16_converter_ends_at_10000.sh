#!/usr/bin/env bash
# onnxconverter-common cuts the running variances of a model at 10,000 when it makes it float16.
# Versions: onnxconverter-common 1.16.0, onnx 1.23.2, onnxruntime 1.32.0, numpy 2.4.6.
# Expected (a first guess): weights are rounded to float16, which ends at 65,504, so a variance of
# 20,000 stays; and one of 1e-8 becomes 0 or the least number there is, 6e-8.
# Seen: whatever is above 10,000 becomes 10,000, and whatever is between 0 and 1e-7 becomes 1e-7, by
# two defaults. A channel of variance 20,000 comes out 1.41 times too large, one of variance 30,000
# 1.73 times, next to a warning that names no weight. The copy of the converter in onnxruntime does
# not: it ends at 65,504.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  onnxconverter-common==1.16.0 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnxconverter_common import float16

variance = np.float32([20000, 30000, 400])
weights = {"scale": np.ones(3), "bias": np.zeros(3), "mean": np.zeros(3), "var": variance}
info = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [None, 3]) for n in ("x", "y")]
node = helper.make_node("BatchNormalization", ["x", *weights], ["y"])
graph = helper.make_graph([node], "g", info[:1], info[1:], [
    numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
half = float16.convert_float_to_float16(model, keep_io_types=True)


def run(model):
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": np.sqrt(variance)[None]})[0][0]


stored = {i.name: numpy_helper.to_array(i) for i in half.graph.initializer}["var"]
print("variances:", variance, "in float16 by NumPy:", variance.astype(np.float16),
      "in the converted model:", stored)
print("a row of one standard deviation:", run(model).round(3), "and converted:", run(half).round(3))
assert stored.tolist() == [10000, 10000, 400] and np.isfinite(variance.astype(np.float16)).all()
assert np.allclose(run(model), 1, atol=1e-3)
assert np.allclose(run(half), np.sqrt([2, 3, 1]), atol=5e-3)
PYTHON
