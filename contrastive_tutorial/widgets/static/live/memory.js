// A running mean that starts at 0, of batch means around 2: what is left of the start, and how the
// rest scatters. live.js draws it.

function after(fresh, steps, batch) {
  const left = (1 - fresh) ** steps;
  return { left, mean: 2 * (1 - left),
    spread: Math.sqrt(fresh / (2 - fresh) * (1 - left ** 2) / batch) };
}

const kinds = {
  memory: {
    numbers: ({ fresh, steps, batch }) => ({ ...after(fresh, steps, batch),
      one_percent: Math.log(0.01) / Math.log(1 - fresh) }),
    draw(to, width, v, n) {
      const x = [0, 300], grid = range(301, 0, 300), ticks = [0, 100, 200, 300], w = width - 60;
      const top = to.axes({ top: 24, width: w, height: 110, x, y: [0, 1.05], ticks,
        ups: [0, 0.5, 1], title: `left of the initial value: ${(100 * n.left).toFixed(1)}%` });
      const low = to.axes({ top: 176, width: w, height: 150, x, y: [-0.2, 2.6], ticks,
        ups: [0, 1, 2], label: "step",
        title: `running mean: ${two(n.mean)} ± ${n.spread.toFixed(3)}` });
      const path = grid.map((t) => [t, after(v.fresh, t, v.batch)]);
      top.curve(path.map(([t, at]) => [t, at.left]), P);
      top.dot(v.steps, n.left, P);
      top.say(295, 0.85, `1% after ${n.one_percent.toFixed(0)} steps`, { "text-anchor": "end" });
      const edge = (side) => path.map(([t, at]) => [t, at.mean + 2 * side * at.spread]);
      low.area([...edge(1), ...edge(-1).reverse()], P, 0.25);
      low.curve(path.map(([t, at]) => [t, at.mean]), P);
      low.curve([[0, 2], [300, 2]], FG, "2 3", 1.5);
      low.say(2, 2.1, "true mean");
      low.dot(v.steps, n.mean, P);
      return { height: 372, marks: [{ at: low.place(v.steps, n.mean), pull: (px, py) =>
        ({ steps: low.inverse(px, py)[0] }) }] };
    },
    say: (n) => `${(100 * n.left).toFixed(1)} percent of the initial value is left; running mean `
    + `${two(n.mean)}, give or take ${n.spread.toFixed(3)}; true mean 2`,
  },
};
