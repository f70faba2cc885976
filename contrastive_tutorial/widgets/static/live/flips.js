// Paired differences of a few seeds, and the means that flipped signs would give. live.js draws it.

const places = [0.37, -1.13, 0.81, -0.29, 1.47, -0.68, 0.09, 1.02, -1.71, 0.56, -0.43, 0.23];

function flipped(deltas) {
  let sums = [0];
  for (const d of deltas) sums = sums.flatMap((s) => [s + d, s - d]);
  return sums.map((s) => s / deltas.length);
}

const asFar = (mean, seen) => Math.abs(mean) >= Math.abs(seen) - 1e-12;

const kinds = {
  flips: {
    numbers({ seeds, mean, spread }) {
      const used = places.slice(0, seeds), centre = sum(used) / seeds;
      const deltas = used.map((at) => mean + spread * (at - centre));
      const means = flipped(deltas), seen = means[0];
      const far = means.filter((m) => asFar(m, seen)).length;
      const p = seeds === 1 ? 1 : far / means.length;
      return { deltas, mean: sum(deltas) / seeds, p, of_four: Math.min(1, 4 * p),
        least: 2 ** (1 - seeds) };
    },
    draw(to, width, v, n) {
      const x = [-4, 4], w = width - 60, ticks = [-4, -2, 0, 2, 4];
      const verdict = (p) => (p < 0.05 ? "below 0.05" : "too high");
      const top = to.axes({ top: 24, width: w, height: 60, x, y: [-1, 1], ticks,
        title: "differences A − B, one dot a seed" });
      top.curve([[0, -1], [0, 1]], FG, "2 3", 1.5);
      n.deltas.forEach((d, i) => top.dot(d, 0.5 - i % 3 * 0.5, Q));
      top.curve([[n.mean, -1], [n.mean, 1]], Q, "", 2);
      const means = flipped(n.deltas), bins = Array.from({ length: 80 }, () => [0, 0]);
      for (const m of means) {
        bins[Math.min(79, Math.max(0, Math.floor((m + 4) * 10)))][asFar(m, means[0]) ? 1 : 0] += 1;
      }
      const most = Math.max(...bins.map(sum));
      const low = to.axes({ top: 138, width: w, height: 130, x, y: [0, 1.1], ticks,
        label: "mean of the differences with flipped signs",
        title: `${means.length} patterns: p = ${n.p.toFixed(4)}, ${verdict(n.p)}` });
      bins.forEach(([nearer, far], i) => { // one on top of the other: a bar may hold both
        const at = i / 10 - 4;
        for (const [from, count, colour] of [[0, nearer, P], [nearer, far, Q]]) {
          const [y, z] = [from / most, (from + count) / most];
          if (count) low.area([[at, y], [at, z], [at + 0.1, z], [at + 0.1, y]], colour, 0.9);
        }
      });
      for (const side of [-1, 1]) low.curve([[side * n.mean, 0], [side * n.mean, 2]], Q, "5 4", 1.5);
      to.text(44, 322, `as one of four (Holm): p = ${n.of_four.toFixed(4)}, `
        + verdict(n.of_four));
      to.text(44, 340, `the least that ${v.seeds} seed${v.seeds > 1 ? "s" : ""} can reach: `
        + n.least.toFixed(4));
      const shown = Math.max(-4, Math.min(4, n.mean));
      return { height: 350, marks: [{ at: top.place(shown, 0), pull: (px, py) =>
        ({ mean: v.mean + top.inverse(px, py)[0] - shown }) }] };
    },
    say: (n) => `p ${n.p.toFixed(4)}, as one of four ${n.of_four.toFixed(4)}; least possible `
    + n.least.toFixed(4),
  },
};
