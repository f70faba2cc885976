// NT-Xent of codes that know a group and nothing else. live.js draws it.

const floorAt = (images, groups, temperature, cosine) =>
  Math.log(2 * images / groups - 1
    + (2 * images - 2 * images / groups) * Math.exp((cosine - 1) / temperature));

const kinds = {
  floor: {
    numbers({ groups, apart, temperature }) {
      const widest = Math.acos(-1 / (groups - 1)) * 180 / Math.PI, angle = apart / 100 * widest;
      const at = (degrees) =>
        floorAt(500, groups, temperature, Math.cos(degrees * Math.PI / 180));
      return { loss: at(angle), same: at(0), orthogonal: at(90), floor: at(widest), widest, angle };
    },
    draw(to, width, v, n) {
      const grid = range(181, 0, n.widest);
      const plot = to.axes({ top: 24, width: width - 60, height: 200, x: [0, 181], y: [0, 8],
        ticks: [0, 45, 90, 135, 180], ups: [0, 2, 4, 6, 8],
        label: `angle ${n.angle.toFixed(1)}°; the simplex has ${n.widest.toFixed(1)}°`,
        title: `N = 500: loss ${n.loss.toFixed(3)} nats, floor ${n.floor.toFixed(3)}` });
      plot.curve(grid.map((a) => [a, floorAt(500, v.groups, v.temperature,
        Math.cos(a * Math.PI / 180))]), P);
      plot.curve([[0, n.floor], [180, n.floor]], GOOD, "6 4", 1.5);
      plot.curve([[0, n.same], [180, n.same]], FG, "2 3", 1.5);
      plot.say(178, n.same + 0.3, "one code for all", { "text-anchor": "end" });
      plot.say(4, n.floor - 0.7, "floor: no code of K groups is lower", { style: `fill:${GOOD}` });
      plot.dot(n.widest, n.floor, GOOD, "rect");
      plot.dot(n.angle, n.loss, P);
      return { height: 265, marks: [{ at: plot.place(n.angle, n.loss), pull: (px, py) =>
        ({ apart: 100 * plot.inverse(px, py)[0] / n.widest }) }] };
    },
    say: (n) => `${n.angle.toFixed(1)} of ${n.widest.toFixed(1)} degrees: loss ${n.loss.toFixed(3)}, floor ${n.floor.toFixed(3)} nats`,
  },
};
