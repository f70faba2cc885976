// Dot product, cosine and distance of two candidates from an anchor. live.js draws it.

const kinds = {
  vectors: {
    numbers({ angle, length, normalise }) {
      const vector = (degrees, size) =>
        [Math.cos, Math.sin].map((f) => size * f(degrees * Math.PI / 180));
      const [a, q, p] = [vector(30, 1), vector(60, 1), vector(angle, normalise ? 1 : length)];
      const dot = (u, v) => u[0] * v[0] + u[1] * v[1];
      const square = (u, v) => (u[0] - v[0]) ** 2 + (u[1] - v[1]) ** 2;
      return { a, p, q, dots: [dot(a, p), dot(a, q)], squares: [square(a, p), square(a, q)],
        cosines: [dot(a, p) / Math.hypot(...p), dot(a, q)] };
    },
    draw(to, width, v, n) {
      const size = Math.min(width - 20, 420), unit = size / 6.8;
      const plot = to.axes({ left: 10, top: 10, width: size, height: 4.6 * unit, x: [-3.4, 3.4],
        y: [-1.2, 3.4] });
      plot.circle(0, 0, 1, FG, 0);
      [["a", n.a, P], ["p", n.p, Q], ["q", n.q, GOOD]].forEach(([name, tip, colour]) => {
        plot.arrow(0, 0, ...tip, colour);
        const far = 1 + 0.25 / Math.max(0.3, Math.hypot(...tip));
        plot.say(tip[0] * far, tip[1] * far, name, { "text-anchor": "middle",
          style: `fill:${colour};font-weight:600` });
      });
      const top = 4.6 * unit + 34;
      const wins = [null, n.dots, n.cosines, n.squares.map((s) => -s), null];
      const rows = [["to a:", "p", "q"], ["dot product", ...n.dots], ["cosine", ...n.cosines],
        ["sq. distance", ...n.squares], ["2 − 2 a·x", ...n.dots.map((d) => 2 - 2 * d)]];
      rows.forEach((row, i) => row.forEach((cell, j) => {
        const won = j && wins[i] && wins[i][j - 1] > wins[i][2 - j] + 1e-9;
        to.text([10, 130, 200][j], top + 19 * i, typeof cell === "number" ? two(cell)
          + (won ? " ✓" : "") : cell, { style: `font-weight:${won ? 700 : 400}` });
      }));
      return { height: top + 84, marks: [{ at: plot.place(...n.p), pull(px, py) {
        const [x, y] = plot.inverse(px, py);
        const angle = Math.atan2(y, x) * 180 / Math.PI;
        return { angle: angle < -90 ? 180 : Math.max(0, angle), length: Math.hypot(x, y) };
      } }] };
    },
    say: (n) => `dot products ${n.dots.map(two)}, squared distances ${n.squares.map(two)}`,
  },
};
