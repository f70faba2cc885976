#!/usr/bin/env bash
# scikit.js says that the area under the ROC curve of a perfect ranking is 0.25.
# Versions: scikitjs 1.24.0, @tensorflow/tfjs 4.22.0, run by node.
# Expected (a first guess): rocAucScore(labels, scores) is scikit-learn's roc_auc_score: the share
# of pairs of a positive and a negative row that the scores put in the right order. 1 for a perfect
# ranking, 0 for a reversed one, whatever the order of the rows.
# Seen: 0.25 for the perfect one, 0.5 for the reversed one, and other numbers when the rows change
# places. It does not sort: it takes the rows as the corners of a polygon, with the label as x and
# the score as y, and returns the polygon's area.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts \
  scikitjs@1.24.0 @tensorflow/tfjs@4.22.0
cat >run.cjs <<'JAVASCRIPT'
const warn = console.warn;
console.warn = () => {};
const sk = require("scikitjs");
sk.setBackend(require("@tensorflow/tfjs"));

function pairs(labels, scores) {
  let right = 0, all = 0;
  labels.forEach((a, i) => labels.forEach((b, j) => {
    if (a === 1 && b === 0) {
      all++;
      right += scores[i] > scores[j] ? 1 : scores[i] === scores[j] ? 0.5 : 0;
    }
  }));
  return right / all;
}

const cases = {
  perfect: [[0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4]],
  reversed: [[1, 1, 0, 0], [0.1, 0.2, 0.3, 0.4]],
  example: [[0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]],
  moved: [[0, 1, 0, 1], [0.1, 0.35, 0.4, 0.8]],
};
const seen = Object.entries(cases).map(([name, [labels, scores]]) => {
  const [said, right] = [sk.metrics.rocAucScore(labels, scores), pairs(labels, scores)];
  console.log(`${name}: ${said.toFixed(3)}, by counting pairs ${right.toFixed(3)}`);
  return [said, right];
});
const wanted = [[0.25, 1], [0.5, 0], [0.375, 0.75]];
const close = wanted.every((pair, i) => pair.every((v, j) => Math.abs(v - seen[i][j]) < 1e-6));
const moves = Math.abs(seen[3][0] - seen[2][0]) > 0.01 && seen[3][1] === seen[2][1];
process.exit(close && moves ? 0 : 1);
JAVASCRIPT
node run.cjs
