#!/usr/bin/env bash
# toArray() of a float16 column of Apache Arrow for JavaScript gives 14336 for 0.5.
# Versions: apache-arrow 21.2.0, run by node.
# Expected (a first guess): the numbers: get(i) gives them, and toArray() of a float32 or float64
# column does too.
# Seen: the bit patterns as whole numbers from 0 to 65535. Features that were written as float16 to
# save half the bytes are drawn, or compared, as 14336, 15360 and 48128, without an error.
# Array.from(column) gives 0.5, 1 and -1.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund apache-arrow@21.2.0
cat >run.cjs <<'JAVASCRIPT'
const { Float16, Float32, vectorFromArray } = require("apache-arrow");

const numbers = [0.5, 1, -1];
const half = vectorFromArray(numbers, new Float16());
const single = vectorFromArray(numbers, new Float32());
const seen = [half, single].map((column) => Array.from(column.toArray()));
const each = Array.from(half);
console.log(`float16 ${seen[0]}, float32 ${seen[1]}, one by one ${each}`);
const good = String(seen[0]) === "14336,15360,48128" && String(seen[1]) === String(numbers);
if (!(good && String(each) === String(numbers))) process.exit(1);
JAVASCRIPT
node run.cjs
