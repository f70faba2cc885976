#!/usr/bin/env bash
# The k-means of @antv/algorithm stops after one pass: three blobs are not found in three of four
# runs.
# Versions: @antv/algorithm 0.1.26, run by node.
# Expected (a first guess): it goes on until no centroid moves, so blobs of spread 1 that lie 10
# apart are found each time, and each row is nearest to the mean of its own cluster.
# Seen: in 37 of 50 runs they are not found, and 19 % of the rows are nearer to another mean. The
# loop ends once a centroid has moved, which is after the first pass, and goes on where none has.
# More passes over its own answers find the blobs in all 50.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund @antv/algorithm@0.1.26
cat >run.cjs <<'JAVASCRIPT'
let state = 1;
Math.random = () => (state = (state * 1664525 + 1013904223) % 4294967296) / 4294967296;
const { kMeans } = require("@antv/algorithm");
const normal = () =>
  Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
const distance = (p, q) => Math.hypot(p.x - q.x, p.y - q.y);
const mean = (nodes) => ({
  x: nodes.reduce((sum, node) => sum + node.p.x, 0) / nodes.length,
  y: nodes.reduce((sum, node) => sum + node.p.y, 0) / nodes.length,
});
const nearest = (node, means) => {
  const distances = means.map((m) => distance(node.p, m));
  return distances.indexOf(Math.min(...distances));
};
const found = (clusters) => clusters.length === 3
  && clusters.every((nodes) => new Set(nodes.map((node) => node.blob)).size === 1);
let by_library = 0, by_more = 0, elsewhere = 0;
for (let run = 0; run < 50; run++) {
  const nodes = Array.from({ length: 90 }, (_, i) => ({
    id: String(i), blob: i % 3, p: { x: normal() + 10 * (i % 3), y: normal() },
  }));
  let { clusters } = kMeans({ nodes, edges: [] }, 3, "p");
  by_library += found(clusters);
  const means = clusters.map(mean);
  clusters.forEach((list, i) => list.forEach((node) => (elsewhere += nearest(node, means) !== i)));
  for (let pass = 0; pass < 50; pass++) {
    const centres = clusters.map(mean);
    clusters = centres.map((_, i) => nodes.filter((node) => nearest(node, centres) === i));
  }
  by_more += found(clusters);
}
const share = elsewhere / (50 * 90);
console.log(`three blobs found: ${by_library} of 50 runs, with more passes ${by_more} of 50`);
console.log(`rows that are nearer to another mean: ${(100 * share).toFixed(0)} %`);
if (!(by_library === 13 && by_more === 50 && share > 0.15)) process.exit(1);
JAVASCRIPT
node run.cjs
