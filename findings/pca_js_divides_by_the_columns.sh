#!/usr/bin/env bash
# pca-js divides by the number of columns where it should divide by the number of rows.
# Versions: pca-js 2.0.6, run by node.
# Expected (a first guess): the eigenvalues are the variances along the components, so their sum is
# the sum of the variances of the columns, and it does not change when each row is there ten times.
# Seen: the sums of squares are divided by the number of columns, here 2. A hundred rows of variance
# 1 in each column have eigenvalues near 50, and ten copies of them near 500. Shares of the whole
# are right; the scree plot, the rule of eigenvalues above 1 and whitening by their roots are not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund pca-js@2.0.6
cat >run.cjs <<'JAVASCRIPT'
const pca = require("pca-js");

let state = 1;
const random = () => (state = (state * 16807) % 2147483647) / 2147483647;
const mean = (v) => v.reduce((a, b) => a + b) / v.length;
function standardize(v) {
  const m = mean(v), s = Math.sqrt(mean(v.map((x) => (x - m) ** 2)));
  return v.map((x) => (x - m) / s);
}

const column = () => standardize(Array.from({ length: 100 }, random));
const [a, b] = [column(), column()];
const rows = a.map((x, i) => [x, b[i]]);
const copies = Array.from({ length: 10 }, () => rows).flat();
const sum = (data) => pca.getEigenVectors(data).map((pair) => pair.eigenvalue)
  .reduce((x, y) => x + y);
const seen = [sum(rows), sum(copies)];
console.log(`variances of the two columns: 1 and 1; sum of the eigenvalues: ` +
  `${seen[0].toFixed(2)} for ${rows.length} rows, ${seen[1].toFixed(2)} for ${copies.length}`);
const vectors = pca.getEigenVectors(rows);
const share = pca.computePercentageExplained(vectors, vectors[0]);
const r = mean(a.map((x, i) => x * b[i]));
console.log(`share of the first: ${share.toFixed(4)}, by the correlation ` +
  `${((1 + Math.abs(r)) / 2).toFixed(4)}`);
const right = Math.abs(seen[0] - 200 / 2) < 1e-6 && Math.abs(seen[1] - 2000 / 2) < 1e-5;
process.exit(right && Math.abs(share - (1 + Math.abs(r)) / 2) < 1e-6 ? 0 : 1);
JAVASCRIPT
node run.cjs
