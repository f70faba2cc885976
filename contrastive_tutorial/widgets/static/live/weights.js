// How much each of fifteen negatives is pushed, by a softmax and by triplets. live.js draws it.

function shares(gradient) {
  const total = sum(gradient) || 1;
  const share = gradient.map((g) => g / total);
  return { share, effective: Math.exp(-sum(share.map((s) => (s > 0 ? s * Math.log(s) : 0)))) };
}

const kinds = {
  weights: {
    numbers({ temperature, margin }) {
      const negatives = range(15, -0.65, 0.75);
      const exp = negatives.map((s) => Math.exp((s - 0.75) / temperature));
      const soft = shares(exp);
      const hinge = shares(negatives.map((s) => (s - 0.6 + margin > 0 ? 1 : 0)));
      return { negatives, soft: soft.share, hinge: hinge.share,
        effective: [soft.effective, hinge.effective] };
    },
    draw(to, width, v, n) {
      const plot = to.axes({ top: 24, width: width - 52, height: 200, x: [-0.7, 0.9], y: [0, 1.05],
        ticks: [-0.6, -0.2, 0.2, 0.6], ups: [0, 0.5, 1], label: "similarity of the negative",
        title: "share of the push" });
      n.negatives.forEach((s, i) => {
        const bar = (at, share) => [[at, 0], [at, share], [at + 0.036, share], [at + 0.036, 0]];
        plot.area(bar(s - 0.04, n.soft[i]), P, 0.9);
        plot.area(bar(s, n.hinge[i]), Q, 0.9);
      });
      plot.curve([[0.6, 0], [0.6, 2]], FG, "", 1);
      plot.say(0.59, 0.9, "positive", { "text-anchor": "end" });
      const like = n.effective.map((e) => e.toFixed(1));
      plot.say(-0.68, 0.93, `softmax: as if ${like[0]} negatives`, { style: `fill:${P}` });
      plot.say(-0.68, 0.82, `triplets: as if ${like[1]}`, { style: `fill:${Q}` });
      const edge = 0.6 - v.margin;
      plot.curve([[edge, 0], [edge, 0.75]], Q, "5 4", 1.5);
      return { height: 265, marks: [{ at: plot.place(edge, 0), pull: (px, py) =>
        ({ margin: 0.6 - plot.inverse(px, py)[0] }) }] };
    },
    say: (n) => `softmax as if ${n.effective[0].toFixed(1)} negatives, hardest `
    + `${(100 * n.soft.at(-1)).toFixed(1)}%; triplets as if ${n.effective[1].toFixed(0)}`,
  },
};
