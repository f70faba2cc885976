#!/usr/bin/env bash
# In Vega's window transform the first of some equal rows has another cume_dist than the others.
# Versions: vega-transforms 5.2.2, vega-dataflow 6.1.3, vega-util 2.1.3, run by node.
# Expected (by its description): cume_dist is the share of rows that are not above the row, as in SQL, so
# equal rows have one value; 0.75 for each of the three ones in 1, 1, 1 and 2.
# Seen: 0.25, 0.75, 0.75 and 1. Only a tie at the front is split; in 0, 1, 1 and 1 each one has 1.
# In the first row the search for its equals is left out. ntile stands on cume_dist: of four equal
# rows the first is in the lower half, and three are in the upper. rank is right.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund vega-transforms@5.2.2 vega-dataflow@6.1.3 vega-util@2.1.3
cat >run.cjs <<'JAVASCRIPT'
(async () => {
  const { Dataflow, changeset } = await import("vega-dataflow");
  const { collect, window } = await import("vega-transforms");
  const { compare } = await import("vega-util");
  function windowOf(numbers) {
    const flow = new Dataflow();
    const rows = flow.add(collect);
    flow.add(window, {
      pulse: rows, sort: compare("x"), ops: ["rank", "cume_dist", "ntile"],
      fields: [null, null, null], params: [null, null, 2], as: ["rank", "cume", "half"],
    });
    flow.pulse(rows, changeset().insert(numbers.map((x) => ({ x })))).run();
    const list = (name) => rows.value.map((row) => row[name]);
    const right = list("x").map((x) => numbers.filter((y) => y <= x).length / numbers.length);
    console.log(`${numbers}: rank ${list("rank")}; cume_dist ${list("cume")}, right ${right}; `
      + `half ${list("half")}`);
    return { cume: String(list("cume")), half: String(list("half")), right: String(right) };
  }
  const front = windowOf([1, 1, 1, 2]), back = windowOf([0, 1, 1, 1]), all = windowOf([1, 1, 1, 1]);
  if (!(front.cume === "0.25,0.75,0.75,1" && front.right === "0.75,0.75,0.75,1"
    && back.cume === back.right && all.half === "1,2,2,2")) process.exit(1);
})();
JAVASCRIPT
node run.cjs
