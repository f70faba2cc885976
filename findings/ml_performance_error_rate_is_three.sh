#!/usr/bin/env bash
# The error rate of ml-performance is 3 where it is 0.5, and its accuracy of tied scores is 3 too.
# Versions: ml-performance 0.2.0, run by node.
# Expected (a first guess): "err" is the share of wrong pairs at each threshold, so that it and
# "acc" add up to 1, both between 0 and 1.
# Seen: the number of missed pairs is not divided, only that of false alarms: with three of six
# pairs positive and none found, 3. Both measures divide by the number of thresholds in place of
# that of pairs. That is one number only if no score comes twice: for two different scores the
# accuracy of a perfect split is 3.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund ml-performance@0.2.0
cat >run.cjs <<'JAVASCRIPT'
const Performance = require("ml-performance");
function rates(scores, positive) {
  const performance = new Performance([scores], [positive], { max: true, all: true });
  const thresholds = [Infinity, ...new Set(scores)];
  const right = thresholds.map((t) =>
    scores.filter((score, i) => score >= t === Boolean(positive[i])).length / scores.length);
  const show = (list) => list.map((value) => value.toFixed(2)).join(" ");
  const [acc, err] = ["acc", "err"].map((name) => performance.getMeasure(name));
  console.log(`scores ${scores}`);
  console.log(`  accuracy    ${show(acc)}, right ${show(right)}`);
  console.log(`  error rate  ${show(err)}, right ${show(right.map((value) => 1 - value))}`);
  return { acc, err, right };
}
const close = (a, b) => a.every((value, i) => Math.abs(value - b[i]) < 1e-9);
const apart = rates([0.9, 0.8, 0.7, 0.6, 0.5, 0.4], [1, 1, 0, 1, 0, 0]);
const tied = rates([0.9, 0.9, 0.9, 0.5, 0.5, 0.5], [1, 1, 1, 0, 0, 0]);
if (!(close(apart.acc, apart.right) && apart.err[0] === 3 && tied.err[0] === 3
  && close(tied.acc, [1.5, 3, 1.5]) && close(tied.right, [0.5, 1, 0.5]))) process.exit(1);
JAVASCRIPT
node run.cjs
