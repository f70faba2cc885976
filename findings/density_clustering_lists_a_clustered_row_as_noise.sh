#!/usr/bin/env bash
# The DBSCAN of density-clustering lists a row of a cluster as noise as well, and leaves out rows at
# a distance of exactly epsilon.
# Versions: density-clustering 1.3.0, run by node.
# Expected (a first guess): each row is in one cluster or in noise; a row at the distance epsilon is
# a neighbour, as in the paper and in scikit-learn.
# Seen: of the rows 0, 1 and 2 with epsilon 1.5 and 3 points, 0 is in the cluster and in noise, for
# it was looked at before its neighbour 1; the parts do not sum to the rows. With epsilon 1 and 2
# points all rows are noise, as 1 is not below 1.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund density-clustering@1.3.0
cat >run.cjs <<'JAVASCRIPT'
const { DBSCAN } = require("density-clustering");

const rows = [[0], [1], [2], [10], [11], [30]];
const wide = new DBSCAN();
const clusters = wide.run(rows, 1.5, 3);
const both = clusters.flat().filter((row) => wide.noise.includes(row));
const edge = new DBSCAN();
const none = edge.run(rows, 1, 2);
console.log(`clusters ${JSON.stringify(clusters)}, noise ${JSON.stringify(wide.noise)}, ` +
  `in both ${JSON.stringify(both)}; at the edge ${none.length} clusters, ` +
  `noise ${JSON.stringify(edge.noise)}`);
const sorted = JSON.stringify(clusters.map((c) => [...c].sort()));
if (!(sorted === "[[0,1,2]]" && both.length === 1 && both[0] === 0)) process.exit(1);
if (!(none.length === 0 && edge.noise.length === 6)) process.exit(1);
JAVASCRIPT
node run.cjs
