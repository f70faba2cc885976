#!/usr/bin/env bash
# ml-stat standardizes 10, 11 and 12 to 10, 11 and 12.
# Versions: ml-stat 1.3.3, run by node.
# Expected (a first guess): standardize takes the mean away and divides by the standard deviation;
# center returns the centred values; weightedMean divides by the sum of the weights, as
# weightedVariance does.
# Seen: standardize divides only, for arrays and for matrices, so columns keep their offsets and a
# distance is ruled by the one farthest from 0. center of an array returns undefined, so it is of
# use only in place. weightedMean of 1, 2 and 3 with weights of 1 is 6.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund ml-stat@1.3.3
cat >run.cjs <<'JAVASCRIPT'
const { array, matrix } = require("ml-stat");
const values = [10, 11, 12];
const mean = values.reduce((a, b) => a + b) / 3;
const deviation = Math.sqrt(values.reduce((a, v) => a + (v - mean) ** 2, 0) / 2);
const known = values.map((v) => (v - mean) / deviation);
const seen = array.standardize(values);
const columns = matrix.standardize(values.map((v) => [v, 100 * v]));
const inPlace = [10, 11, 12];
const returned = [array.center(values), array.center(inPlace, true)];
const weighted = array.weightedMean([1, 2, 3], [1, 1, 1]);
console.log(`standardize: ${seen}; by formula ${known}; two columns: ${columns.join(" | ")}`);
console.log(`center returns ${returned[0]}; in place ${returned[1]}, and leaves ${inPlace}`);
console.log(`weighted mean of 1, 2, 3 with weights 1, 1, 1: ${weighted}`);
const right = String(seen) === "10,11,12" && String(known) === "-1,0,1" && weighted === 6
  && columns.every((row, i) => row.every((v) => Math.abs(v - values[i]) < 1e-9))
  && returned.every((v) => v === undefined) && String(inPlace) === "-1,0,1";
if (!right) process.exit(1);
JAVASCRIPT
node run.cjs
