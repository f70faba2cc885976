#!/usr/bin/env bash
# A frozen BatchNormalization of TensorFlow.js goes on moving its statistics while the rest trains.
# Versions: @tensorflow/tfjs-core, -layers and -backend-cpu 4.22.0, run by node.
# Expected (a first guess): trainable = false freezes the layer whole, as in Keras since TensorFlow
# 2: it uses its moving mean and variance and leaves them alone.
# Seen: only scale and shift stand still. fit() normalises by the batch and moves the mean from 0 to
# above 1 in twenty steps. An encoder that was frozen for a probe is another one after it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund @tensorflow/tfjs-core@4.22.0 \
  @tensorflow/tfjs-layers@4.22.0 @tensorflow/tfjs-backend-cpu@4.22.0
cat >run.cjs <<'JAVASCRIPT'
const tf = require("@tensorflow/tfjs-core");
require("@tensorflow/tfjs-backend-cpu");
const { layers, sequential } = require("@tensorflow/tfjs-layers");

(async () => {
  await tf.setBackend("cpu");
  const norm = layers.batchNormalization({ inputShape: [2] });
  const model = sequential();
  model.add(norm);
  model.add(layers.dense({ units: 1 }));
  norm.trainable = false;
  model.compile({ optimizer: tf.train.sgd(0.01), loss: "meanSquaredError" });
  const read = () => norm.getWeights().map((weight) => weight.dataSync()[0]);
  const before = read();
  const rows = tf.randomNormal([32, 2], 7, 1, "float32", 1);
  await model.fit(rows, tf.zeros([32, 1]), { epochs: 20, verbose: 0 });
  const after = read();
  console.log(`scale, shift, moving mean and variance: ${before.map((v) => v.toFixed(2))}, ` +
    `after fit ${after.map((v) => v.toFixed(2))}`);
  const still = before[0] === after[0] && before[1] === after[1];
  if (!(still && before[2] === 0 && after[2] > 1)) process.exit(1);
})();
JAVASCRIPT
node run.cjs
