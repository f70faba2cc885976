#!/usr/bin/env bash
# The mean linkage of cytoscape's hierarchical clustering merges pairs, and then nothing more.
# Versions: cytoscape 3.34.4, run by node.
# Expected (a first guess): linkage: "mean" is average linkage: of 0, 1, 2, 10, 11, 12, 20, 21 and
# 22, cut at 5, it makes three clusters, as "min" and "max" do, for 2 is 1.5 away from 0 and 1.
# Seen: six: the pairs 0 and 1, 10 and 11, 20 and 21, and the others alone. Cut at 1000, where all
# is one cluster, four pairs and a row that is left. The mean is weighed by sizes of clusters that
# are never set, so each distance to a merged cluster is NaN, and no NaN is the smallest. In the
# mode "dendrogram" it raises an error.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund cytoscape@3.34.4
cat >run.cjs <<'JAVASCRIPT'
const cytoscape = require("cytoscape");
const numbers = [0, 1, 2, 10, 11, 12, 20, 21, 22];
const elements = numbers.map((x) => ({ data: { id: `n${x}`, x } }));
function clustersOf(linkage, threshold) {
  const found = cytoscape({ headless: true, elements }).nodes().hierarchicalClustering({
    mode: "threshold", threshold, linkage, attributes: [(node) => node.data("x")],
  });
  return found.map((cluster) => cluster.map((node) => node.data("x")).sort((a, b) => a - b));
}
function average(threshold) {
  const clusters = numbers.map((x) => [x]);
  const gap = (a, b) =>
    a.flatMap((x) => b.map((y) => Math.abs(x - y))).reduce((s, d) => s + d) / (a.length * b.length);
  for (;;) {
    let best = [Infinity];
    for (let i = 0; i < clusters.length; i++) {
      for (let j = i + 1; j < clusters.length; j++) {
        const d = gap(clusters[i], clusters[j]);
        if (d < best[0]) best = [d, i, j];
      }
    }
    if (best[0] >= threshold) return clusters;
    clusters[best[1]].push(...clusters.splice(best[2], 1)[0]);
  }
}
const counts = {};
for (const threshold of [5, 1000]) {
  for (const linkage of ["min", "max", "mean"]) {
    const clusters = clustersOf(linkage, threshold);
    counts[linkage + threshold] = clusters.length;
    console.log(`${linkage}, cut at ${threshold}: ${JSON.stringify(clusters)}`);
  }
  counts[`right${threshold}`] = average(threshold).length;
  console.log(`average linkage by its definition: ${JSON.stringify(average(threshold))}`);
}
if (!(counts.min5 === 3 && counts.max5 === 3 && counts.right5 === 3 && counts.mean5 === 6
  && counts.min1000 === 1 && counts.right1000 === 1 && counts.mean1000 === 5)) process.exit(1);
JAVASCRIPT
node run.cjs
