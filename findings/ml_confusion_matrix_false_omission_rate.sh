#!/usr/bin/env bash
# The false omission rate of ml-confusion-matrix is the miss rate.
# Versions: ml-confusion-matrix 2.0.0, run by node.
# Expected (a first guess): the share of actual positives among the rows called negative, FN / (FN
# + TN), so that it and the negative predictive value add up to 1, as the false discovery rate and
# precision do.
# Seen: FN / (FN + TP), which is what getFalseNegativeRate returns. With one positive in a
# hundred, half of them missed, it says 0.5 where 0.005 is right.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund ml-confusion-matrix@2.0.0
cat >run.cjs <<'JAVASCRIPT'
(async () => {
  const { ConfusionMatrix } = await import("ml-confusion-matrix");
  const actual = Array.from({ length: 1000 }, (_, i) => Number(i < 10));
  const predicted = actual.map((_, i) => Number(i < 5 || i > 997));
  const table = ConfusionMatrix.fromLabels(actual, predicted);
  const called = actual.filter((_, i) => predicted[i] === 0);
  const known = called.filter((v) => v === 1).length / called.length;
  const seen = table.getFalseOmissionRate(1);
  const others = [table.getNegativePredictiveValue(1), table.getFalseNegativeRate(1)];
  console.log(`false omission rate ${seen}, by counting ${known.toFixed(4)}`);
  console.log(`negative predictive value ${others[0].toFixed(4)}, miss rate ${others[1]}`);
  const discovery = table.getFalseDiscoveryRate(1) + table.getPositivePredictiveValue(1);
  const right = seen === 0.5 && others[1] === 0.5 && Math.abs(known + others[0] - 1) < 1e-12;
  if (!(right && known < 0.006 && Math.abs(discovery - 1) < 1e-12)) process.exit(1);
})();
JAVASCRIPT
node run.cjs
