#!/usr/bin/env bash
# simple-statistics says that a normal number is below 5 with probability 0.999.
# Versions: simple-statistics 7.12.1, run by node.
# Expected (a first guess): the cumulative distribution to seven digits or better: 0.9999997.
# Seen: z is rounded to 0.01 and looked up in a table of four digits that ends at 3.09. So z =
# 1.9551 and 1.9649 have the same p-value, and no two-sided p-value is below 0.002, however large
# z is.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund simple-statistics@7.12.1
cat >run.cjs <<'JAVASCRIPT'
const { cumulativeStdNormalProbability: below } = require("simple-statistics");

const p = (z) => 2 * (1 - below(z));
console.log(`below 5: ${below(5)}; two-sided p of z = 4: ${p(4).toFixed(4)}, of 10: ` +
  `${p(10).toFixed(4)}; of 1.9551 and 1.9649: ${p(1.9551).toFixed(4)}, ${p(1.9649).toFixed(4)}`);
if (!(below(5) === 0.999 && below(10) === 0.999 && p(1.9551) === p(1.9649))) process.exit(1);
JAVASCRIPT
node run.cjs
