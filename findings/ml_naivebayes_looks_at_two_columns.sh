#!/usr/bin/env bash
# The GaussianNB of ml-naivebayes looks at the first two columns of its rows and at no other.
# Versions: ml-naivebayes 4.0.0, run by node.
# Expected (a first guess): a Gaussian naive Bayes over all columns, so two classes that lie far
# apart in the third column are told apart.
# Seen: they are told apart if that column stands first or second, and by chance if it stands
# third. The loop of predict runs over the two numbers kept for a column, not over the columns.
# The formula over all columns finds them each time. Nothing warns.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund ml-naivebayes@4.0.0
cat >run.cjs <<'JAVASCRIPT'
const { GaussianNB } = require("ml-naivebayes");
let state = 1;
const random = () => (state = (state * 16807) % 2147483647) / 2147483647;
const normal = () => Math.sqrt(-2 * Math.log(random())) * Math.cos(2 * Math.PI * random());
const classes = Array.from({ length: 400 }, (_, i) => i % 2);
const share = (found) => found.filter((c, i) => c === classes[200 + i]).length / 200;
const seen = [0, 1, 2, 3].map((place) => {
  const rows = classes.map((c) => [0, 1, 2, 3].map((j) => normal() + (j === place ? 6 * c : 0)));
  const model = new GaussianNB();
  model.train(rows.slice(0, 200), classes.slice(0, 200));
  const moments = [0, 1].map((c) => [0, 1, 2, 3].map((j) => {
    const values = rows.slice(0, 200).filter((_, i) => classes[i] === c).map((row) => row[j]);
    const mean = values.reduce((a, b) => a + b) / values.length;
    return [mean, values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length];
  }));
  const score = (row, c) => row.reduce((sum, v, j) => {
    const [mean, variance] = moments[c][j];
    return sum - Math.log(variance) / 2 - (v - mean) ** 2 / variance / 2;
  }, 0);
  const known = rows.slice(200).map((row) => Number(score(row, 1) > score(row, 0)));
  const accuracies = [share(model.predict(rows.slice(200))), share(known)];
  console.log(`column ${place + 1} tells: accuracy ${accuracies[0]}, by formula ${accuracies[1]}`);
  return accuracies;
});
const right = seen.every(([found, known], place) =>
  known > 0.98 && (place < 2 ? found > 0.98 : Math.abs(found - 0.5) < 0.15));
if (!right) process.exit(1);
JAVASCRIPT
node run.cjs
