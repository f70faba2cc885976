// Two normal distributions: what their KL divergence adds up, and how it depends on one width. live.js draws it.

function klTerms(meanP, stdP, meanQ, stdQ) {
  return [Math.log(stdQ) - Math.log(stdP), (stdP / stdQ) ** 2 / 2,
    ((meanQ - meanP) / stdQ) ** 2 / 2, -0.5];
}
const density = (x, mean, std) =>
  Math.exp(-(((x - mean) / std) ** 2) / 2) / (std * Math.sqrt(2 * Math.PI));
function integrand(x, meanP, stdP, meanQ, stdQ) {
  const log = (mean, std) => -(((x - mean) / std) ** 2) / 2 - Math.log(std);
  return density(x, meanP, stdP) * (log(meanP, stdP) - log(meanQ, stdQ));
}

const kinds = {
  normals: {
    numbers({ mean_q, std_q, std_p }) {
      const terms = klTerms(0, std_p, mean_q, std_q);
      const reverse = klTerms(mean_q, std_q, 0, std_p);
      const grid = range(4001, -10 * std_p, 10 * std_p);
      const step = grid[1] - grid[0];
      const parts = grid.map((x) => integrand(x, 0, std_p, mean_q, std_q) * step);
      return { terms, reverse, kl: sum(terms), reverse_kl: sum(reverse),
        above: sum(parts.filter((v) => v > 0)), below: sum(parts.filter((v) => v < 0)) };
    },
    draw(to, width, v, n) {
      const w = width - 52, x = [-7, 7], grid = range(281, -7, 7);
      const top = to.axes({ top: 22, width: w, height: 110, x, y: [0, 0.85], ups: [0, 0.4, 0.8],
        title: "density" });
      for (const [mean, std, colour, name, dash] of
        [[0, v.std_p, P, "P", ""], [v.mean_q, v.std_q, Q, "Q", "6 4"]]) {
        top.curve(grid.map((at) => [at, density(at, mean, std)]), colour, dash);
        top.say(mean, Math.min(0.76, density(mean, mean, std) + 0.12), name,
          { fill: colour, style: `fill:${colour};font-weight:600`, "text-anchor": "middle" });
      }
      const mid = to.axes({ top: 160, width: w, height: 130, x, y: [-0.6, 1.6], ticks: [-6, -3, 0, 3,
        6], ups: [0, 1], title: `p log(p/q): area ${two(n.above)} above, ${two(-n.below)} below` });
      const values = grid.map((at) => [at, integrand(at, 0, v.std_p, v.mean_q, v.std_q)]);
      const part = (keep) => [[-7, 0], ...values.map(([at, y]) => [at, keep(y)]), [7, 0]];
      mid.area(part((y) => Math.max(0, y)), P);
      mid.area(part((y) => Math.min(0, y)), Q);
      mid.curve(values, FG, "", 1.5);
      const names = ["log-det.", "trace", "Mahal.", "dimension", "sum = KL"];
      const bars = to.axes({ left: 74, top: 340, width: width - 82, height: 135, x: [-2, 9],
        y: [5, 0], ticks: [-2, 0, 2, 4, 6, 8], label: "nats",
        title: `KL(P‖Q) = ${two(n.kl)}, KL(Q‖P) = ${two(n.reverse_kl)}` });
      [[n.terms, n.kl, P, 0.1], [n.reverse, n.reverse_kl, Q, 0.5]].forEach(([terms, kl, colour, at]) =>
        [...terms, kl].forEach((value, i) => bars.area([[0, i + at], [Math.min(9, value), i + at],
          [Math.min(9, value), i + at + 0.38], [0, i + at + 0.38]], colour, 0.85)));
      names.forEach((name, i) => to.text(68, 340 + 27 * i + 18, name, { "text-anchor": "end" }));
      const std = (y) => 1 / (Math.max(0.02, y) * Math.sqrt(2 * Math.PI));
      const peak = (mean, size) => top.place(mean, density(mean, mean, size));
      return { height: 510, marks: [
        { at: peak(0, v.std_p), pull: (px, py) => ({ std_p: std(top.inverse(px, py)[1]) }) },
        { at: peak(v.mean_q, v.std_q), pull: (px, py) => ({ mean_q: top.inverse(px, py)[0],
          std_q: std(top.inverse(px, py)[1]) }) }] };
    },
    say: (n) => `KL of P from Q ${two(n.kl)}, reversed ${two(n.reverse_kl)} nats; area above zero `
    + `${two(n.above)}, below ${two(-n.below)}`,
  },
  sweep: {
    numbers({ mean_q, std_q }) {
      const best = Math.hypot(1, mean_q);
      return { kl: sum(klTerms(0, 1, mean_q, std_q)), best, least: Math.log(best) };
    },
    draw(to, width, v, n) {
      const grid = range(241, 0.3, 6);
      const plot = to.axes({ top: 24, width: width - 52, height: 210, x: [0.3, 6], y: [-0.8, 5],
        ticks: [1, 2, 3, 4, 5, 6], ups: [0, 2, 4], label: "width σ′ of Q", title: `KL `
        + `${n.kl.toFixed(3)}; least ${n.least.toFixed(4)} at σ′ = ${n.best.toFixed(4)}` });
      const terms = (s) => klTerms(0, 1, v.mean_q, s);
      plot.curve(grid.map((s) => [s, terms(s)[0]]), Q, "7 4", 1.5);
      plot.curve(grid.map((s) => [s, terms(s)[1] + terms(s)[2] - 0.5]), GOOD, "2 3", 1.5);
      plot.curve(grid.map((s) => [s, sum(terms(s))]), P);
      plot.say(5.9, 2.05, "log σ′ rises", { "text-anchor": "end", style: `fill:${Q}` });
      plot.say(5.9, -0.2, "the rest falls", { "text-anchor": "end", style: `fill:${GOOD}` });
      plot.dot(n.best, n.least, FG, "rect");
      plot.dot(v.std_q, n.kl, P);
      return { height: 275, marks: [{ at: plot.place(v.std_q, Math.min(5, n.kl)),
        pull: (px, py) => ({ std_q: plot.inverse(px, py)[0] }) }] };
    },
    say: (n) => `KL ${n.kl.toFixed(4)} nats; least ${n.least.toFixed(4)} at ${n.best.toFixed(4)}`,
  },
};
