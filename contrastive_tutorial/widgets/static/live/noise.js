// How far a mean of the batch is from the true mean of one part, with a mean for each part and with
// one for all. In units of the standard deviation of one image within a part. live.js draws it.

const fromAll = (images, parts, shift) => Math.hypot(Math.sqrt(1 / images), parts > 1 ? shift : 0);

const kinds = {
  noise: {
    numbers({ batch, parts, shift }) {
      const images = Math.round(batch);
      return { images, each: images / parts, own: Math.sqrt(parts / images),
        whole: Math.sqrt(1 / images), miss: fromAll(images, parts, shift),
        even: Math.sqrt((parts - 1) / images) };
    },
    draw(to, width, v, n) {
      const w = width - 60, one = v.parts === 1, log = Math.log10, span = [-2.5, 2.5];
      const each = Number.isInteger(n.each) ? n.each : n.each.toFixed(1);
      const top = to.axes({ top: 40, width: w, height: 100, x: span, y: [0, 1.15],
        ticks: [-2, -1, 0, 1, 2], label: "where a mean lands (σ)" });
      to.text(44, 14, `one mean for all ${n.images}: ± ${n.whole.toFixed(3)} σ`,
        { style: `fill:${P};font-weight:600` });
      if (!one) to.text(44, 31, `own means, of ${each} images: ± ${n.own.toFixed(3)} σ`,
        { style: `fill:${Q};font-weight:600` });
      const grid = range(401, -4, 4); // a bell in its own widths, as high as any other
      const bell = (centre, sd) =>
        grid.map((t) => [centre + t * sd, Math.exp(-t * t / 2)]);
      const unit = one ? 0 : Math.sqrt(3 * (v.parts - 1) / (v.parts + 1)); // the outermost, at shift 1
      const truths = one ? [0] : range(v.parts, -unit, unit).map((place) => place * v.shift);
      for (const centre of new Set(truths)) {
        if (!one) top.curve(bell(centre, n.own), Q, "6 4", 1.5);
        top.curve([[centre, 0], [centre, 0.12]], FG, "", 2);
      }
      top.area(bell(0, n.whole), P, 0.25);
      top.curve(bell(0, n.whole), P);
      const low = to.axes({ top: 212, width: w, height: 150, x: [1, 3], y: [-1.6, 0.2],
        title: "how far from the true mean of a part (σ)" });
      for (const t of [10, 30, 100, 300, 1000]) {
        low.line(low.X(log(t)), 0, low.X(log(t)), 150);
        to.text(44 + low.X(log(t)), 377, t, { "text-anchor": "middle" });
      }
      for (const t of [0.03, 0.1, 0.3, 1]) {
        low.line(0, low.Y(log(t)), w, low.Y(log(t)));
        to.text(38, 216 + low.Y(log(t)), t, { "text-anchor": "end" });
      }
      to.text(44 + w / 2, 393, "images in the batch N", { "text-anchor": "middle" });
      const sizes = range(201, 1, 3), at = log(n.images);
      low.curve(sizes.map((x) => [x, log(Math.sqrt(v.parts / 10 ** x))]), Q, "6 4", 1.5);
      low.curve(sizes.map((x) => [x, log(fromAll(10 ** x, v.parts, v.shift))]), P);
      const gap = n.own - n.miss;
      low.dot(at, log(n.own), Q, "rect");
      low.dot(at, log(n.miss), P);
      to.text(10, 416, one ? "one part: its own mean is the mean of all" : `closer: ${
        Math.abs(gap) < 1e-9 ? "neither" : gap < 0 ? "own means" : "one mean for all"
      } (equal at ${n.even.toFixed(3)} σ)`);
      return { height: 424, marks: [
        { at: top.place(truths.at(-1), 0.06), pull: (px, py) =>
          ({ shift: top.inverse(px, py)[0] / (unit || 1) }) },
        { at: low.place(at, log(n.miss)), pull: (px, py) => ({ batch: low.inverse(px, py)[0] }) },
      ] };
    },
    say: (n) => `${n.images} images: one mean for all is off by ${n.miss.toFixed(3)} sigma, a part's `
    + `own by ${n.own.toFixed(3)}`,
  },
};
