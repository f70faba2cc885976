#!/usr/bin/env bash
# three.js makes half floats by cutting off: each is too near to zero, by up to a whole step.
# Versions: three 0.187.0, @petamoriken/float16 3.9.3, run by node.
# Expected (a first guess): DataUtils.toHalfFloat rounds to the nearest half float, as NumPy,
# PyTorch and the Float16Array of JavaScript do, so errors cancel and 0.1 becomes 0.09998.
# Seen: it drops the bits. Half of all numbers get another half float, always one with a smaller
# size: a vector of length 1 is too short by 0.04 %. 1.00097 becomes 1. Features that were packed
# for a texture are not those of astype("float16").
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund three@0.187.0 @petamoriken/float16@3.9.3
cat >run.mjs <<'JAVASCRIPT'
import { f16round } from "@petamoriken/float16";
import { DataUtils } from "three";

const cut = (x) => DataUtils.fromHalfFloat(DataUtils.toHalfFloat(x));
let state = 1;
const random = () => (state = (state * 16807) % 2147483647) / 2147483647 - 0.5;
const raw = Array.from({ length: 512 }, random);
const norm = Math.hypot(...raw);
const unit = raw.map((x) => x / norm);
const count = unit.filter((x) => cut(x) !== f16round(x)).length;
const longer = unit.filter((x) => Math.abs(cut(x)) > Math.abs(x)).length;
const length = (f) => Math.hypot(...unit.map(f));
console.log(`of 512 numbers ${count} get another half float than by rounding, ` +
  `${longer} a larger one than they are`);
console.log(`length of a unit vector: ${length(cut).toFixed(6)} by three, ` +
  `${length(f16round).toFixed(6)} rounded; 1.00097 becomes ${cut(1.00097)} and ` +
  `${f16round(1.00097)}`);
const ok = count > 200 && count < 312 && longer === 0 && length(cut) < 0.9998 &&
  Math.abs(length(f16round) - 1) < 5e-5 && cut(1.00097) === 1 && f16round(1.00097) > 1;
process.exit(ok ? 0 : 1);
JAVASCRIPT
node run.mjs
