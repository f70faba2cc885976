#!/usr/bin/env bash
# With maxSamples: 0.5 a forest of ml-random-forest sees the first half of the rows and never the
# second.
# Versions: ml-random-forest 2.1.0, run by node.
# Expected (a first guess): each tree draws half as many rows, at random from all, as with
# max_samples in scikit-learn.
# Seen: the first half is cut out once, and all trees draw from it. So rows sorted by class give a
# forest that knows one class, and the out-of-bag results cover the first half only. Shuffle the
# rows before, and still half of them are never used.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund ml-random-forest@2.1.0
cat >run.cjs <<'JAVASCRIPT'
const { RandomForestClassifier } = require("ml-random-forest");
const rows = Array.from({ length: 40 }, (_, i) => [i, (7 * i) % 11]);
const sorted = rows.map((_, i) => (i < 20 ? 0 : 1));
const treeOptions = { minNumSamples: 1 };
const fit = (maxSamples, order) => {
  const settings = { nEstimators: 50, seed: 1, maxSamples, treeOptions };
  const forest = new RandomForestClassifier(settings);
  forest.train(order.map((i) => rows[i]), order.map((i) => sorted[i]));
  const accuracy = forest.predict(rows).filter((c, i) => c === sorted[i]).length / 40;
  return [accuracy, forest.predictOOB().length];
};
const inOrder = rows.map((_, i) => i);
const dealt = rows.map((_, i) => (i % 2 ? 20 : 0) + (i >> 1));
const seen = [fit(undefined, inOrder), fit(0.5, inOrder), fit(0.5, dealt)];
console.log(`all rows, sorted by class: accuracy ${seen[0][0]}, ${seen[0][1]} rows out of bag`);
console.log(`half, sorted by class: accuracy ${seen[1][0]}, ${seen[1][1]} rows out of bag`);
console.log(`half, classes in turn: accuracy ${seen[2][0]}, ${seen[2][1]} rows out of bag`);
const [all, half, turn] = seen;
const right = all[0] > 0.95 && half[0] === 0.5 && turn[0] > 0.7;
if (!(right && all[1] === 40 && half[1] <= 20 && turn[1] <= 20)) process.exit(1);
JAVASCRIPT
node run.cjs
