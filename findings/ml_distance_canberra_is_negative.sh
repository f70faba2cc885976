#!/usr/bin/env bash
# The Canberra distance of ml-distance is negative for rows that have negative numbers.
# Versions: ml-distance 5.0.0, run by node.
# Expected (a first guess): each difference is divided by the sum of the two sizes, |p| + |q|, as in
# SciPy and scikit-learn, so a distance is at least 0, and 0 only from a row to itself.
# Seen: it is divided by p + q, as its description says. So (-1, -2) is -0.83 away from (-3, -4), a
# difference between 1 and -0.9 counts 19, and that between 1 and -1 is infinite. Among 200 rows of
# normal numbers no row is its own nearest neighbour. clark has the same sum below its fraction; it
# is right only for rows without negative numbers.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund ml-distance@5.0.0
cat >run.cjs <<'JAVASCRIPT'
(async () => {
  const { distance } = await import("ml-distance");
  const right = (p, q) =>
    p.reduce((sum, v, i) => sum + Math.abs(v - q[i]) / (Math.abs(v) + Math.abs(q[i])), 0);
  const pairs = [[[1, 2], [3, 4]], [[-1, -2], [-3, -4]], [[1], [-0.9]], [[1], [-1]]];
  const seen = pairs.map(([p, q]) => distance.canberra(p, q));
  pairs.forEach(([p, q], i) =>
    console.log(`(${p}) and (${q}): ${seen[i].toFixed(2)}, right ${right(p, q).toFixed(2)}`));
  let state = 1;
  const random = () => (state = (state * 1664525 + 1013904223) % 4294967296) / 4294967296;
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const rows = Array.from({ length: 200 }, () => Array.from({ length: 8 }, normal));
  const own = (metric) => rows.filter((row, i) => {
    const distances = rows.map((other) => metric(row, other));
    return distances.indexOf(Math.min(...distances)) === i;
  }).length;
  const [by_library, by_formula] = [own(distance.canberra), own(right)];
  console.log(`their own nearest neighbour: ${by_library} rows, right ${by_formula}, of 200`);
  if (!(Math.abs(seen[0] - right(...pairs[0])) < 1e-9 && seen[1] < -0.8 && seen[2] > 18.9
    && seen[3] === Infinity && by_library === 0 && by_formula === 200)) process.exit(1);
})();
JAVASCRIPT
node run.cjs
