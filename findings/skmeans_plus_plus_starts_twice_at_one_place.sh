#!/usr/bin/env bash
# The k-means++ of skmeans starts two centroids at one place and leaves another place without one.
# Versions: skmeans 0.11.3, run by node.
# Expected (a first guess): a row that equals a centroid has the chance 0 to be the next start, so
# six rows at three places and K = 3 always get the three places.
# Seen: in about three runs of four two centroids are equal, and the third has the rows of two
# places.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund skmeans@0.11.3
cat >run.cjs <<'JAVASCRIPT'
const skmeans = require("skmeans");

const rows = [[0, 0], [0, 0], [0, 0], [5, 5], [5, 5], [9, 9]];
let equal = 0;
for (let run = 0; run < 1000; run++) {
  const { centroids } = skmeans(rows, 3, "kmpp");
  if (new Set(centroids.map(String)).size < 3) equal++;
}
console.log(`${equal} of 1000 runs have two equal centroids`);
if (!(equal > 500)) process.exit(1);
JAVASCRIPT
node run.cjs
