#!/usr/bin/env bash
# Two components of five explain 100 % of the variance, says ml-pca with NIPALS.
# Versions: ml-pca 4.1.1, run by node.
# Expected (a first guess): NIPALS is another way to the same components, so the first two explain
# what the first two by SVD explain, and have the same eigenvalues.
# Seen: the shares are those among the components that were computed, two unless told otherwise, and
# always add up to 1: 0.60 and 0.40 instead of 0.44 and 0.29. With one component it explains all.
# Its eigenvalues are sums of squares, n - 1 times those of the other methods. The directions agree.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund ml-pca@4.1.1
cat >run.mjs <<'JAVASCRIPT'
import { PCA } from "ml-pca";

let state = 1;
const random = () => (state = (state * 16807) % 2147483647) / 2147483647 - 0.5;
const rows = Array.from({ length: 50 }, () => [5, 4, 3, 2, 1].map((width) => width * random()));
const svd = new PCA(rows);
const nipals = new PCA(rows, { method: "NIPALS" });
const one = new PCA(rows, { method: "NIPALS", nCompNIPALS: 1 });
const show = (v) => v.map((x) => x.toFixed(3)).join(", ");
console.log(`explained, SVD: ${show(svd.getExplainedVariance())}`);
console.log(`explained, NIPALS: ${show(nipals.getExplainedVariance())}; ` +
  `with one component: ${show(one.getExplainedVariance())}`);
console.log(`eigenvalues, SVD: ${show(svd.getEigenvalues().slice(0, 2))}; ` +
  `NIPALS: ${show(nipals.getEigenvalues())}`);

const means = [0, 1, 2, 3, 4].map((j) => rows.reduce((s, row) => s + row[j], 0) / 50);
const total = rows.flat().reduce((s, x, i) => s + (x - means[i % 5]) ** 2, 0) / 49;
const shares = svd.getEigenvalues().map((value) => value / total);
const near = (a, b) => Math.abs(a - b) < 1e-3;
const ok = shares.every((s, i) => near(s, svd.getExplainedVariance()[i])) &&
  near(nipals.getExplainedVariance().reduce((a, b) => a + b), 1) &&
  near(one.getExplainedVariance()[0], 1) && shares[0] + shares[1] < 0.75 &&
  [0, 1].every((i) => near(nipals.getEigenvalues()[i] / svd.getEigenvalues()[i] / 49, 1));
process.exit(ok ? 0 : 1);
JAVASCRIPT
node run.mjs
