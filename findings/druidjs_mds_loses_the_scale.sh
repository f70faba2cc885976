#!/usr/bin/env bash
# The classical MDS of druidjs draws a rectangle of 3 x 4 as a square, and one of 300 x 400 as the
# same square.
# Versions: @saehrimnir/druidjs 0.9.0, run by node.
# Expected (a first guess): four points of a plane get their own distances back, 3, 4 and 5, as
# classical MDS gives them where two dimensions are enough.
# Seen: each axis has length 1: the eigenvectors are not multiplied by the roots of their
# eigenvalues. All sides are 1, whatever they were. The axis that explains least is as wide as the
# one that explains most.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund @saehrimnir/druidjs@0.9.0
cat >run.cjs <<'JAVASCRIPT'
(async () => {
  const { MDS } = await import("@saehrimnir/druidjs");
  const corners = [[0, 0], [3, 0], [0, 4], [3, 4]];
  const sides = (scale) => {
    const map = new MDS(corners.map((row) => row.map((v) => v * scale)), { d: 2 }).transform();
    return [1, 2, 3].map((i) => Math.hypot(map[i][0] - map[0][0], map[i][1] - map[0][1]));
  };
  const seen = [1, 100].map(sides);
  console.log(`3, 4 and 5 become ${seen[0].map((v) => v.toFixed(3))}; ` +
    `300, 400 and 500 become ${seen[1].map((v) => v.toFixed(3))}`);
  const near = (list, wanted) => list.every((v, i) => Math.abs(v - wanted[i]) < 1e-6);
  if (!seen.every((list) => near(list, [1, 1, Math.SQRT2]))) process.exit(1);
})();
JAVASCRIPT
node run.cjs
