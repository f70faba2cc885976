#!/usr/bin/env bash
# The permutation test of simple-statistics returns a p-value of 0.
# Versions: simple-statistics 7.12.1, run by node.
# Expected (a first guess): at least 1/(k + 1), as scipy and mlxtend give, since the order that
# was seen is one of the permutations; or, for so few rows, the exact value.
# Seen: 0 for two samples of 8 that do not overlap, with 100 permutations, and in 8 of 20 calls
# with the default of 10,000. The exact p-value is 2/12870 = 0.00016. The draws that reach the
# difference are divided by all draws. A correction for many tests multiplies, so it leaves 0 as
# it is.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund simple-statistics@7.12.1
cat >run.cjs <<'JAVASCRIPT'
const { permutationTest } = require("simple-statistics");

let state = 1;
const random = () => (state = (state * 1664525 + 1013904223) % 4294967296) / 4294967296;
const low = [1, 2, 3, 4, 5, 6, 7, 8];
const high = low.map((value) => value + 100);
const few = permutationTest(low, high, "two_side", 100, random);
const same = permutationTest(low, low, "two_side", 100, random);
console.log(`p = ${few} with 100 permutations; of a sample and itself ${same}`);
if (!(few === 0 && same > 0.5)) process.exit(1);
JAVASCRIPT
node run.cjs
