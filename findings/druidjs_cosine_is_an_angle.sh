#!/usr/bin/env bash
# The cosine distance of druidjs is an angle: 1.57 for a right one, and 3.14 at most.
# Versions: @saehrimnir/druidjs 0.9.0, run by node.
# Expected (a first guess): 1 - cos: 1 for a right angle and 2 for opposite rows, as in SciPy and
# scikit-learn and in every nearest-neighbour library.
# Seen: the arc cosine, in radians. The order of neighbours is the same, but a threshold, a mean and
# a map that keeps distances are not: 60 degrees are 1.05 instead of 0.5.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund @saehrimnir/druidjs@0.9.0
cat >run.cjs <<'JAVASCRIPT'
(async () => {
  const { cosine } = await import("@saehrimnir/druidjs");
  const others = [[0, 1], [-1, 0], [1, Math.sqrt(3)]];
  const seen = others.map((row) => cosine([1, 0], row));
  console.log(`right angle, opposite, 60 degrees: ${seen.map((v) => v.toFixed(3))}`);
  const angles = [Math.PI / 2, Math.PI, Math.PI / 3];
  if (!seen.every((v, i) => Math.abs(v - angles[i]) < 1e-9)) process.exit(1);
})();
JAVASCRIPT
node run.cjs
