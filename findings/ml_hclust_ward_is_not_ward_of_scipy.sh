#!/usr/bin/env bash
# ml-hclust's agnes with method "ward" merges at other heights than Ward's method elsewhere.
# Versions: ml-hclust 4.0.0, run by node.
# Expected (a first guess): what scipy and scikit-learn call ward: the rows 0, 1, 5 and 7 end at a
# height of 7.78, the square root of 60.5, twice the rise of the sum of squares.
# Seen: 9.5. "ward" applies Ward's formula to distances that are not squared, so it no longer
# minimises variance. What other libraries call ward is "ward2" here. A cut at a height that was
# found in Python gives other clusters.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund ml-hclust@4.0.0
cat >run.cjs <<'JAVASCRIPT'
const { agnes } = require("ml-hclust");

const rows = [[0], [1], [5], [7]];
const height = (method) => agnes(rows, { method }).height;
const squares = (values) => {
  const mean = values.reduce((a, b) => a + b) / values.length;
  return values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
};
const rise = squares([0, 1, 5, 7]) - squares([0, 1]) - squares([5, 7]);
console.log(`ward ${height("ward")}, ward2 ${height("ward2").toFixed(4)}, by the sums of squares ` +
  Math.sqrt(2 * rise).toFixed(4));
if (!(height("ward") === 9.5 && Math.abs(height("ward2") - Math.sqrt(2 * rise)) < 1e-9)) {
  process.exit(1);
}
JAVASCRIPT
node run.cjs
