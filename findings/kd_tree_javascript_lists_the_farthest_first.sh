#!/usr/bin/env bash
# The first of the three nearest rows by kd-tree-javascript is the farthest of them.
# Versions: kd-tree-javascript 1.0.3, run by node.
# Expected (a first guess): nearest(point, 3) lists the nearest first, as every other search does,
# so nearest(point, 3)[0] is nearest(point, 1)[0].
# Seen: the rows are right and their order is that of the heap they were kept in: the farthest is in
# front, and the rest is in no order that holds. In 500 searches for three the nearest is never the
# first. Rankings, hit rates and weights by rank need a sort by the second number of each pair.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund kd-tree-javascript@1.0.3
cat >run.cjs <<'JAVASCRIPT'
const { kdTree } = require("kd-tree-javascript");

let state = 1;
const random = () => (state = (state * 16807) % 2147483647) / 2147483647;
const distance = (a, b) => (a.x - b.x) ** 2 + (a.y - b.y) ** 2;
const rows = Array.from({ length: 300 }, () => ({ x: random(), y: random() }));
const tree = new kdTree(rows.slice(), distance, ["x", "y"]);
const counts = { same: 0, nearest: 0, farthest: 0, sorted: 0 };
for (let i = 0; i < 500; i++) {
  const point = { x: random(), y: random() };
  const right = rows.map((row) => distance(row, point)).sort((a, b) => a - b).slice(0, 3);
  const seen = tree.nearest(point, 3).map((pair) => pair[1]);
  counts.same += String(seen.slice().sort((a, b) => a - b)) === String(right);
  counts.nearest += seen[0] === right[0];
  counts.farthest += seen[0] === right[2];
  counts.sorted += String(seen) === String(right.slice().reverse());
}
console.log("in 500 searches for three:", counts);
const { same, nearest, farthest, sorted } = counts;
process.exit(same === 500 && nearest === 0 && farthest === 500 && sorted < 450 ? 0 : 1);
JAVASCRIPT
node run.cjs
