#!/usr/bin/env bash
# ml-logistic-regression has no intercept: moving the data moves the accuracy.
# Versions: ml-logistic-regression 2.0.0, ml-matrix 6.15.1, run by node.
# Expected (a first guess): two weights and a constant for two columns, as in scikit-learn and in
# every linear probe, so that adding 5 to a column changes nothing.
# Seen: no constant, and no option for one. Classes that one column parts at 0 are learned without a
# fault; the same rows plus 5 reach 65 %. With a column of ones added by hand it is 100 % in both.
# Features after a ReLU are of this kind: all positive.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund ml-logistic-regression@2.0.0 ml-matrix@6.15.1
cat >run.cjs <<'JAVASCRIPT'
const LogisticRegression = require("ml-logistic-regression");
const { Matrix } = require("ml-matrix");

const labels = Array.from({ length: 40 }, (_, i) => (i < 20 ? 0 : 1));
const rows = labels.map((_, i) => [(i - 19.5) / 10, ((i * 7) % 5) / 5]);

function accuracy(data) {
  const model = new LogisticRegression({ numSteps: 50000, learningRate: 5e-3 });
  model.train(new Matrix(data), Matrix.columnVector(labels));
  const weights = model.classifiers[0].weights.columns;
  const right = model.predict(new Matrix(data)).filter((p, i) => p === labels[i]).length / 40;
  return [right, weights];
}

const moved = rows.map(([x, y]) => [x + 5, y]);
const [[first, weights], [second], [mended]] =
  [accuracy(rows), accuracy(moved), accuracy(moved.map((row) => [...row, 1]))];
console.log(`two columns, ${weights} weights; accuracy ${first} around 0, ${second} around 5, ` +
  `${mended} with a column of ones`);
process.exit(first === 1 && second < 0.7 && mended === 1 && weights === 2 ? 0 : 1);
JAVASCRIPT
node run.cjs
