#!/usr/bin/env bash
# TensorFlow.js says that a vector is -24 away from itself by cosineDistance.
# Versions: @tensorflow/tfjs-core 4.22.0, @tensorflow/tfjs-backend-cpu 4.22.0, run by node.
# Expected (a first guess): 1 - cos, which is 0 for equal vectors of any length, as in SciPy and
# torch.nn.CosineEmbeddingLoss.
# Seen: losses.cosineDistance is 1 minus the dot product; nothing is normalised. The longer the
# vectors, the lower the loss, without a bound, so training can lower it by making them longer. On
# unit vectors it is right.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund \
  @tensorflow/tfjs-core@4.22.0 @tensorflow/tfjs-backend-cpu@4.22.0
cat >run.cjs <<'JAVASCRIPT'
console.warn = () => {};
const tf = require("@tensorflow/tfjs-core");
require("@tensorflow/tfjs-backend-cpu");

const distance = (a, b) => tf.losses.cosineDistance(tf.tensor2d([a]), tf.tensor2d([b]), 1)
  .dataSync()[0];
const itself = distance([3, 4], [3, 4]);
const long = distance([3, 4], [6, 8]);
const unit = distance([0.6, 0.8], [0.6, 0.8]);
console.log(`(3, 4) and itself ${itself}, and (6, 8) ${long}; (0.6, 0.8) and itself ` +
  unit.toFixed(6));
if (!(itself === -24 && long === -49 && Math.abs(unit) < 1e-6)) process.exit(1);
JAVASCRIPT
node run.cjs
