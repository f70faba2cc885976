// Dots of three classes in four subsets, before and after a norm: toy.normalize_groups in the
// plane. live.js draws it.

function* stream(seed) {
  for (;;) {
    seed = seed * 16807 % 2147483647;
    yield seed / 2147483647;
  }
}
const turned = (degrees, length) =>
  [Math.cos, Math.sin].map((f) => length * f(degrees * Math.PI / 180));

function normalised(rows, groups) {
  if (!groups) return rows;
  const size = rows.length / groups;
  return [...Array(groups).keys()].flatMap((k) => {
    const part = rows.slice(k * size, (k + 1) * size);
    const [shift, scale] = [0, 1].reduce(([means, sds], axis) => {
      const mean = sum(part.map((row) => row[axis])) / size;
      const variance = sum(part.map((row) => (row[axis] - mean) ** 2)) / size;
      return [[...means, mean], [...sds, Math.sqrt(variance + 1e-5)]];
    }, [[], []]);
    return part.map((row) => row.map((value, axis) => (value - shift[axis]) / scale[axis]));
  });
}

function nearest(dots, i) {
  let best = -1, least = Infinity;
  dots.forEach(([x, y], j) => {
    const far = Math.hypot(x - dots[i][0], y - dots[i][1]);
    if (j !== i && far < least) [best, least] = [j, far];
  });
  return best;
}

function inner(part) {
  const total = [0, 1].map((axis) => sum(part.map((row) => row[axis])) ** 2);
  const own = sum(part.flat().map((value) => value * value));
  return (total[0] + total[1] - own) / (part.length * (part.length - 1));
}

const kinds = {
  sheet: {
    numbers({ shift, norm, uneven, x, y }) {
      const draw = stream(7), classes = [], rows = [];
      for (let i = 0; i < 48; i++) {
        const k = Math.floor(i / 12), c = uneven && i % 12 < 9 ? k % 3 : i % 3;
        const own = [0, 1].map(() => {
          let total = 0;
          for (let j = 0; j < 4; j++) total += draw.next().value;
          return total - 2;
        });
        const [at, by] = [turned(90 + 120 * c, 1.2), turned(45 + 90 * k, shift)];
        classes.push(c);
        rows.push(own.map((value, axis) => by[axis] + (i ? at[axis] + value : [x, y][axis])));
      }
      const dots = normalised(rows, [0, 1, 4][norm]);
      const near = dots.map((_, i) => nearest(dots, i));
      const share = (same) => near.filter((j, i) => same(i, j)).length / 48;
      return { dots, classes, own_subset: share((i, j) => i - i % 12 === j - j % 12),
        own_class: share((i, j) => classes[i] === classes[j]),
        inner: sum([0, 12, 24, 36].map((at) => inner(dots.slice(at, at + 12)))) / 4 };
    },
    draw(to, width, v, n) {
      const size = Math.min(width - 20, 560);
      const plot = to.axes({ left: 10, top: 10, width: size, height: 0.8 * size, x: [-4, 4],
        y: [-3.2, 3.2] });
      plot.line(plot.X(0), 0, plot.X(0), 0.8 * size);
      plot.line(0, plot.Y(0), size, plot.Y(0));
      const corners = [range(13, 0, 360), range(5, 45, 405), range(4, 90, 450), range(5, 0, 360)];
      n.dots.forEach(([px, py], i) => {
        const shape = corners[Math.floor(i / 12)].map((a) => turned(a, 0.13));
        plot.area(shape.map(([dx, dy]) => [px + dx, py + dy]), [P, Q, GOOD][n.classes[i]], 0.85);
      });
      const top = 0.8 * size + 34;
      [`nearest dot is of the own class: ${(100 * n.own_class).toFixed(0)}% (chance a third)`,
        `nearest dot is of the own subset: ${(100 * n.own_subset).toFixed(0)}% (chance 23%)`,
        `mean inner product inside a subset: ${n.inner.toFixed(3)}`,
        "colour: class; shape: subset"].forEach((words, i) => to.text(10, top + 18 * i, words));
      const [raw, seen] = [[v.x, v.y], n.dots[0]];
      return { height: top + 64, marks: [{ at: plot.place(...seen), pull(px, py) {
        const to2 = plot.inverse(px, py); // a step of the shown dot, taken by the dot itself
        return { x: raw[0] + to2[0] - seen[0], y: raw[1] + to2[1] - seen[1] };
      } }] };
    },
    say: (n) => `nearest dot of the own class ${two(n.own_class)}, of the own subset `
    + `${two(n.own_subset)}; mean inner product inside a subset ${n.inner.toFixed(3)}`,
  },
};
