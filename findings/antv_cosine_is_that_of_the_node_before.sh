#!/usr/bin/env bash
# In @antv/algorithm the node behind the seed is always the most similar one, with a cosine of 1.
# Versions: @antv/algorithm 0.1.26, run by node.
# Expected (a first guess): nodesCosineSimilarity(nodes, seed) gives each other node the cosine of
# its values and the seed's, whatever the order of the nodes.
# Seen: so it is for nodes before the seed. Each node behind it gets the cosine of the node before
# it, and the first of them that of the seed with itself. The seed is taken out of the list of
# nodes, but not out of the list of values. Put the seed at the end.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund @antv/algorithm@0.1.26
cat >run.cjs <<'JAVASCRIPT'
const { nodesCosineSimilarity } = require("@antv/algorithm");
const values = { a: [1, 0.5], seed: [0, 1], b: [1, 0], c: [0, 2], d: [1, 1] };
const node = (id) => ({ id, p: { x: values[id][0], y: values[id][1] } });
const cosine = (u, v) => (u[0] * v[0] + u[1] * v[1]) / (Math.hypot(...u) * Math.hypot(...v));
function similar(order) {
  const nodes = order.map(node);
  const seed = nodes.find((n) => n.id === "seed");
  const found = nodesCosineSimilarity(nodes, seed, "p").similarNodes;
  const shown = Object.fromEntries(found.map((n) => [n.id, n.cosineSimilarity]));
  console.log(`order ${order}: most similar first: ${found.map((n) => n.id)}`);
  for (const id of Object.keys(shown).sort()) {
    const right = cosine(values[id], values.seed);
    console.log(`  ${id}: ${shown[id].toFixed(3)}, right ${right.toFixed(3)}`);
  }
  return shown;
}
const near = (shown, id, other) => Math.abs(shown[id] - cosine(values[other], values.seed)) < 1e-9;
const middle = similar(["a", "seed", "b", "c", "d"]);
const end = similar(["a", "b", "c", "d", "seed"]);
if (!(near(middle, "a", "a") && near(middle, "b", "seed") && near(middle, "c", "b")
  && near(middle, "d", "c") && ["a", "b", "c", "d"].every((id) => near(end, id, id)))) {
  process.exit(1);
}
JAVASCRIPT
node run.cjs
