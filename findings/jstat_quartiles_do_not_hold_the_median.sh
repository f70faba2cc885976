#!/usr/bin/env bash
# The middle one of jStat's quartiles is not jStat's median.
# Versions: jstat 1.9.6, run by node.
# Expected (a first guess): for 1, 2, 3 and 4 what NumPy gives, 1.75, 2.5 and 3.25; and one median
# in one library.
# Seen: quartiles gives 1, 2 and 3, rows of the sample, and median 2.5. percentile(0.25) is 1.75
# and quantiles 1.4375: three answers for one quartile, so the width of a box depends on which
# function was asked.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund jstat@1.9.6
cat >run.cjs <<'JAVASCRIPT'
const { jStat } = require("jstat");

const sample = [1, 2, 3, 4];
const quartiles = jStat.quartiles(sample);
const median = jStat.median(sample);
const first = [quartiles[0], jStat.percentile(sample, 0.25), jStat.quantiles(sample, [0.25])[0]];
console.log(`quartiles ${quartiles}, median ${median}; the first quartile is ${first}`);
if (!(quartiles[1] === 2 && median === 2.5 && new Set(first).size === 3)) process.exit(1);
JAVASCRIPT
node run.cjs
