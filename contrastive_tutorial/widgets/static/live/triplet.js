// One triplet in the plane: what its loss is, and where a gradient step would move it. live.js draws it.

const kinds = {
  triplet: {
    numbers({ to_positive, to_negative, turn, margin }) {
      const n = [Math.cos, Math.sin].map((f) => f(turn * Math.PI / 180));
      const gap = to_positive - to_negative + margin;
      const on = gap > 1e-9 ? 1 : 0; // decimals that only a rounding parts are equal
      const kind = to_negative < to_positive + 1e-9 ? 2 : on;
      return { loss: on * gap, kind, points: [[0, 0], [to_positive, 0], n.map((c) => c * to_negative)],
        moves: [[on * (1 - n[0]), -on * n[1]], [-on, 0], n.map((c) => on * c)] };
    },
    draw(to, width, v, n) {
      const size = Math.min(width - 20, 460), plot = to.axes({ left: 10, top: 26, width: size,
        height: size * 0.8, x: [-1.8, 1.8], y: [-1.44, 1.44], title: `${["easy", "semi-hard", "hard"][n.kind]}`
        + `: loss ${n.loss.toFixed(3)}` });
      plot.circle(0, 0, v.to_positive + v.margin, "var(--c3)", 0.12, "6 4");
      plot.circle(0, 0, v.to_positive, Q, 0.15);
      n.points.forEach(([x, y], i) => {
        plot.dot(x, y, [P, GOOD, Q][i], i === 1 ? "rect" : "circle");
        plot.say(x, y, ["anchor", "positive", "negative"][i], { dx: x > 1 ? -8 : 8, dy: i ? -8 : 16,
          "text-anchor": x > 1 ? "end" : "start" });
        if (n.loss > 0) plot.arrow(x, y, ...n.moves[i].map((c) => 0.35 * c), FG);
      });
      plot.say(-1.75, 1.25, "outside the ring: easy");
      if (v.to_positive > 0.25) plot.say(0, -v.to_positive + 0.1, "hard", { "text-anchor": "middle" });
      if (v.margin > 0.14) plot.say(0, Math.max(-1.4, -v.to_positive - v.margin + 0.05), "semi-hard",
        { "text-anchor": "middle" });
      const length = (px, py) => Math.hypot(...plot.inverse(px, py));
      return { height: size * 0.8 + 34, marks: [
        { at: plot.place(...n.points[1]), pull: (px, py) => ({ to_positive: plot.inverse(px, py)[0] }) },
        { at: plot.place(...n.points[2]), pull: (px, py) => ({ to_negative: length(px, py),
          turn: (Math.atan2(plot.inverse(px, py)[1], plot.inverse(px, py)[0]) * 180 / Math.PI + 360)
            % 360 }) },
        { at: plot.place(-v.to_positive - v.margin, 0), pull: (px, py) =>
          ({ margin: length(px, py) - v.to_positive }) }] };
    },
    say: (n) => `${["easy", "semi-hard", "hard"][n.kind]}, loss ${n.loss.toFixed(3)}`,
  },
};
