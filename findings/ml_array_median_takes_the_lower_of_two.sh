#!/usr/bin/env bash
# The median of 1, 2, 3 and 4 by ml-array-median is 2.
# Versions: ml-array-median 2.0.0, run by node.
# Expected (a first guess): 2.5, the mean of the two in the middle, as in NumPy and every textbook.
# Seen: 2, the lower of the two; the median of 0 and 10 is 0. An example in its description has five
# numbers, where nothing shows. For two or four seeds a table gets a median that is a run, and never
# the better one.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund ml-array-median@2.0.0
cat >run.cjs <<'JAVASCRIPT'
const median = require("ml-array-median").default;

const seen = [[1, 2, 3, 4], [0, 10], [1, 5, 3, 2, 4]].map((rows) => median(rows));
console.log(`medians of 1 2 3 4, of 0 10 and of 1 5 3 2 4: ${seen}`);
if (String(seen) !== "2,0,3") process.exit(1);
JAVASCRIPT
node run.cjs
