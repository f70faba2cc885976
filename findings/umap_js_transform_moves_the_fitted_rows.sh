#!/usr/bin/env bash
# umap-js places rows that it was fitted on somewhere else when they are transformed.
# Versions: umap-js 1.4.0, run by node.
# Expected (a first guess): the places of the fit, as umap-learn gives, or very near them: the
# nearest neighbour of each row is itself.
# Seen: the median row moves by more than a tenth of its group's width, and a second call gives
# other places again.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund umap-js@1.4.0
cat >run.cjs <<'JAVASCRIPT'
const { UMAP } = require("umap-js");

let state = 1;
const random = () => (state = (state * 1664525 + 1013904223) % 4294967296) / 4294967296;
const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
const rows = Array.from({ length: 300 }, (_, i) =>
  Array.from({ length: 8 }, () => normal() + (i < 150 ? 6 : 0)));
const umap = new UMAP({ random });
const fitted = umap.fit(rows).map((row) => [...row]);
const distance = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);
const moves = umap.transform(rows).map((row, i) => distance(row, fitted[i])).sort((a, b) => a - b);
const group = fitted.slice(0, 150).map((row) => row[0]);
const width = Math.max(...group) - Math.min(...group);
const again = distance(umap.transform([rows[0]])[0], umap.transform([rows[0]])[0]);
console.log(`median move ${moves[150].toFixed(2)} on a group ${width.toFixed(2)} wide; ` +
  `two calls differ by ${again.toFixed(3)}`);
if (!(moves[150] > 0.1 * width && again > 0)) process.exit(1);
JAVASCRIPT
node run.cjs
