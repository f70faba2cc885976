"use strict";
// The network of the lab: what lies where in the memory of kernels.ts, and in which order its
// functions run. Rows of a batch are ordered (subset, view, image), as in the package.
var Lab = (() => {
  const SHAPES = "circle ring square frame triangle star cross stripes dots crescent".split(" ");
  const POINTS = 300, BANK = 1000, TESTED = 500, CHUNK = 100, DRAWN = 512, STARTS = 5;

  // Configuration --------------------------------------------------------------------------------

  const WORDS = {
    policy: ["shared", "subset", "blur"], colours: ["random", "kept"],
    norm: ["bn", "split", "ghost", "renorm", "none"], negatives: ["cross", "within"],
    network: ["small", "two_conv_strided"],
  };
  // Default, least, most; a whole number where all three are, but for the learning rate.
  const NUMBERS = {
    k: [1, 1, 128], strength: [1, 0, 1], temperature: [0.2, 0.01, 10], n: [64, 4, 256],
    lr: [0.003, 1e-9, 1e9], seed: [0, 0, 4294967295], steps: [400, 1, 10000],
    images: [2000, 1024, 4000],
  };
  const WHOLE = ["k", "n", "seed", "steps", "images"];

  function refuse(field, message) {
    throw Object.assign(new Error(message), {field});
  }

  /** The configuration with every field, or an error whose `field` says where it is wrong. */
  function check(given) {
    const config = {};
    for (const field in given || {}) {
      if (!(field in WORDS) && !(field in NUMBERS)) refuse(field, `${field}: no such setting`);
    }
    for (const field in WORDS) {
      const value = config[field] = given?.[field] ?? WORDS[field][0];
      if (!WORDS[field].includes(value)) {
        refuse(field, `${field}: expected one of ${WORDS[field].join(", ")}, got ${value}`);
      }
    }
    for (const field in NUMBERS) {
      const [usual, least, most] = NUMBERS[field];
      const value = config[field] = given?.[field] ?? usual, whole = WHOLE.includes(field);
      if (typeof value != "number" || !(value >= least && value <= most)
        || (whole && !Number.isInteger(value))) {
        refuse(field, `${field}: expected a ${whole ? "whole " : ""}number from ${least} to `
          + `${most}, got ${value}`);
      }
    }
    const {k, n} = config;
    if (n % k) refuse("k", `k: ${n} images a step do not divide into ${k} equal subsets`);
    if (n / k < 2) {
      refuse("k", `k: ${k} subsets leave one image of each in a step of ${n}; use at most ${n >> 1}`);
    }
    return config;
  }

  /** Loss of an embedding that knows the subset of a view alone (every other one for k = 1). */
  function floor({k, n, negatives, temperature}) {
    if (negatives == "within") return Math.log(2 * n / k - 1);
    const own = 2 * n / k - 1;
    return Math.log(own + (k > 1 && (2 * n - 1 - own) * Math.exp(-k / (k - 1) / temperature)));
  }

  // Random numbers -------------------------------------------------------------------------------

  function mix(a) {
    a = Math.imul(a ^ a >>> 16, 0x21f0aaad);
    a = Math.imul(a ^ a >>> 15, 0x735a2d97);
    return (a ^ a >>> 15) >>> 0;
  }

  /** A stream of numbers in [0, 1) of its own for each seed, purpose and step. */
  function stream(seed, purpose, step) {
    let state = mix(mix(mix(seed + 0x9e3779b9) + purpose) + step);
    return () => mix(state = state + 0x9e3779b9 | 0) / 4294967296;
  }

  function shuffled(items, random) {
    for (let i = items.length - 1; i > 0; i--) {
      const j = Math.floor(random() * (i + 1)), kept = items[i];
      items[i] = items[j];
      items[j] = kept;
    }
    return items;
  }

  /** Order of the images of shuffled ghost groups, as contrastive_tutorial.norm has it. */
  function dealt(count, step) {
    const wrap = (x) => BigInt.asUintN(64, x), keys = [];
    for (let i = 0; i < count; i++) {
      let x = wrap(BigInt(i) + BigInt(step + 1) * 0x9e3779b97f4a7c15n);
      x = wrap((x ^ x >> 30n) * 0xbf58476d1ce4e5b9n);
      x = wrap((x ^ x >> 27n) * 0x94d049bb133111ebn);
      keys.push([BigInt.asIntN(64, x ^ x >> 31n), i]);
    }
    return keys.sort((a, b) => (a[0] < b[0] ? -1 : 1)).map((key) => key[1]);
  }

  /** 16 numbers for `augment`, of a view of subset `own`. */
  function recipe(config, own, random) {
    const between = (low, high) => low + (high - low) * random();
    let height = 32, width = 32;
    for (let attempt = 0; attempt < 10; attempt++) {
      const side = 32 * Math.sqrt(between(0.2, 1)), root = Math.exp(between(-0.5, 0.5) * 0.5754);
      height = Math.round(side / root);
      width = Math.round(side * root);
      if (height <= 32 && width <= 32) break;
      height = width = 32;
    }
    const top = Math.floor(random() * (33 - height)), left = Math.floor(random() * (33 - width));
    const flip = random() < 0.5, coloured = config.colours == "random";
    const order = shuffled([0, 1, 2, 3], random);
    const factors = [between(0.6, 1.4), between(0.6, 1.4), between(0, 2), between(-0.5, 0.5)];
    const grey = coloured && random() < 0.2;
    const place = config.k > 1 ? own / (config.k - 1) : 0;
    const shift = config.policy == "subset" ? config.strength * 0.6 * (place - 0.5) : 0;
    const sigma = config.policy == "blur" ? config.strength * 3 * place : 0;
    return [
      top, left, height, width, +flip, ...(coloured ? factors : [1, 1, 1, 0]), ...order, +grey,
      shift, sigma,
    ];
  }

  /** How many of the pairs counted in `counts` (10 clusters by 10 classes) the best one-to-one map
   * of clusters to classes gets right: the most of every set of classes for the first clusters. */
  function matched(counts) {
    const most = [0];
    for (let used = 1; used < 1024; used++) {
      const taken = [...Array(10).keys()].filter((k) => used >> k & 1), row = taken.length * 10 - 10;
      most.push(Math.max(...taken.map((k) => most[used ^ 1 << k] + counts[row + k])));
    }
    return most[1023];
  }

  // Memory ---------------------------------------------------------------------------------------

  const LAYERS = {
    small: {
      convolutions: [[3, 16, 3, 2, 1, 32], [16, 32, 3, 2, 1, 16]], linear: [[32, 64], [64, 32]],
    },
    two_conv_strided: {
      convolutions: [[3, 64, 5, 4, 2, 32], [64, 128, 3, 2, 1, 8]], linear: [[128, 128]],
    },
  };

  /** A network with its images, ready to train: `kernels` are the exports of lab.wasm. */
  function create(kernels, given) {
    const config = check(given), {k, n, seed, images: count} = config, rows = 2 * n;
    const capacity = Math.max(rows, 128), each = n / k, memory = kernels.memory;
    let end = kernels.heap();
    const start = end;
    const take = (bytes) => {
      const place = end;
      end += (bytes + 15 & ~15) + 64; // a tile may read a little beyond its array
      return place;
    };

    const net = LAYERS[config.network];
    let weights = 0;
    const parameters = (number) => (weights += number, weights - number);
    const convolutions = net.convolutions.map(([cin, cout, kernel, stride, pad, size]) => {
      const out = size / stride, padded = size + 2 * pad, row = padded * cin * 4;
      return {
        cin, cout, kernel, stride, pad, size, out, row, rows: kernel, run: kernel * cin,
        step: stride * cin * 4, bytes: padded * row, groups: out * out / 4,
        positions: out * out, inner: pad * (row + cin * 4),
        w: parameters(kernel * kernel * cin * cout), gamma: parameters(cout),
        beta: parameters(cout),
      };
    });
    const linear = net.linear.map(([cin, cout]) => ({
      cin, cout, rows: 1, run: cin, row: 0, step: cin * 4, w: parameters(cin * cout),
      bias: parameters(cout),
    }));
    const layers = [...convolutions, ...linear];
    const [w, g, m, s, kept] = [0, 0, 0, 0, 0].map(() => take(weights * 4));
    const block = 64; // positions whose slopes are summed before they join the others
    for (const layer of layers) {
      const groups = layer.groups || Math.ceil(capacity / 4);
      layer.offsets = take(groups * 4);
      layer.y = take(capacity * (layer.positions || 1) * layer.cout * 4);
      layer.wt = take(layer.rows * layer.run * layer.cout * 4);
      if (layer.groups) {
        layer.together = Math.max(1, block / layer.positions);
        layer.blocks = take(layer.together * groups * 4);
        // Per image: mean and variance; then per group: everything else.
        layer.tables = {};
        for (const name of [
          "rowMean", "rowVar", "mean", "variance", "scale", "shift", "gain", "first", "second", "sum",
          "along",
        ]) layer.tables[name] = take(capacity * layer.cout * 4);
        layer.running = take(layer.cout * 8);
      }
    }
    for (const layer of convolutions) layer.x = take(capacity * layer.bytes);
    const [width] = net.linear[0], depth = net.linear.at(-1)[1];
    const up4 = capacity + 3 & ~3;
    const h = take(up4 * width * 4), dh = take(up4 * width * 4);
    for (const layer of linear) layer.dy = take(up4 * layer.cout * 4);
    const u = take(up4 * depth * 4), du = take(up4 * depth * 4), sizes = take(up4 * 4);
    const pitch = (config.negatives == "within" ? 2 * each : rows) * 4 + 15 & ~15;
    const table = take(pitch / 4 * pitch), marks = take(capacity * 16);
    const group = take(capacity * 4), packed = take(64 * 4 * 128 * 4), sums = take(capacity * 16);
    const zeros = take(4096), room = take(300000), views = take(64);
    const names = new TextEncoder().encode(SHAPES.join("\0"));
    take(names.length + 64);
    const images = take(count * 3080 + 128) + (64 - names.length % 64);
    const factors = take(count * 3), tests = take(DRAWN * 3072), testFactors = take(DRAWN * 3);
    const bank = take((BANK + TESTED) * width * 4), square = take(8 * (width + 2) * (width + 128));
    const mapH = take(2 * DRAWN * width * 4), mapZ = take(2 * DRAWN * depth * 4);
    const axes = take(16 * width), flat = take(2 * DRAWN * 8), classes = take(2 * DRAWN);
    const more = end - memory.buffer.byteLength;
    if (more > 0) memory.grow(Math.ceil(more / 65536));
    const F = new Float32Array(memory.buffer), U = new Uint32Array(memory.buffer);
    const B = new Uint8Array(memory.buffer), D = new Float64Array(memory.buffer);
    B.fill(0, start, end);

    for (const layer of layers) {
      const groups = layer.groups || Math.ceil(capacity / 4);
      for (let i = 0; i < groups; i++) {
        const p = 4 * i, line = Math.floor(p / layer.out);
        U[(layer.offsets >> 2) + i] = layer.groups
          ? line * layer.stride * layer.row + (p % layer.out) * layer.step : p * layer.step;
      }
      for (let i = 0; i < (layer.together || 0) * groups; i++) {
        U[(layer.blocks >> 2) + i] =
          Math.floor(i / groups) * layer.bytes + U[(layer.offsets >> 2) + i % groups];
      }
      // As torch draws them: uniform, up to one over the root of the inputs.
      const random = stream(seed, 1, layers.indexOf(layer));
      const inputs = layer.rows * layer.run, bound = 1 / Math.sqrt(inputs);
      const drawn = inputs * layer.cout + (layer.groups ? 0 : layer.cout);
      for (let i = 0; i < drawn; i++) {
        F[(w >> 2) + layer.w + i] = bound * (2 * random() - 1);
      }
      if (layer.groups) {
        F.fill(1, (w >> 2) + layer.gamma, (w >> 2) + layer.beta);
        F.fill(1, (layer.running >> 2) + layer.cout, (layer.running >> 2) + 2 * layer.cout);
      }
    }

    // Images -------------------------------------------------------------------------------------

    const cosine = room + 290000, chroma = cosine + 1024, I = new Int32Array(memory.buffer);
    for (let i = 0; i < 256; i++) {
      I[(cosine >> 2) + i] = Math.round(4096 * Math.cos(i / 128 * Math.PI));
    }
    for (let i = 0; i < 4; i++) {
      const rgb = [0, 1, 2].map((c) => Math.cos((i / 4 - c / 3) * 2 * Math.PI));
      const grey = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2];
      rgb.forEach((value, c) => { I[(chroma >> 2) + i * 3 + c] = Math.round(24 * (value - grey)); });
    }
    // In small calls, so that the browser's better compiler gets its turn.
    for (const [split, number, to, truth] of [
      [1, count, images, factors], [3, DRAWN, tests, testFactors],
    ]) {
      for (let i = 0; i < number; i += 80) {
        kernels.draw(split, i, Math.min(i + 80, number), to, truth, cosine, chroma, room);
      }
    }

    /** The content hash that the package has for these images. */
    function hash() {
      const from = images - names.length, labels = images + count * 3072;
      B.set(names, from);
      B.fill(0, labels, labels + count * 8 + 128);
      for (let i = 0; i < count; i++) B[labels + i * 8] = i % 10;
      const length = labels + count * 8 - from, blocks = Math.ceil((length + 9) / 64);
      B[from + length] = 128;
      const data = new DataView(memory.buffer);
      data.setBigUint64(from + blocks * 64 - 8, BigInt(length * 8));
      [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab,
        0x5be0cd19].forEach((word, i) => { U[(room >> 2) + i] = word; });
      for (let i = 0; i < blocks; i += 2000) {
        kernels.sha256(from + i * 64, Math.min(2000, blocks - i), room);
      }
      return Array.from(U.subarray(room >> 2, (room >> 2) + 8))
        .map((word) => word.toString(16).padStart(8, "0")).join("");
    }

    function view(image, row, numbers) {
      const layer = convolutions[0];
      F.set(numbers, views >> 2);
      kernels.augment(image, views, layer.x + row * layer.bytes + layer.inner, layer.row, room);
    }

    // Balanced batches: subset i has every image of every k-th ten, so all classes equally.
    const members = Array.from({length: k}, () => []);
    for (let i = 0; i < count; i++) members[Math.floor(i / 10) % k].push(i);
    const decks = members.map((own) => [-1, own]);

    /** Images of a step, subset by subset. */
    function batch(step) {
      const chosen = [];
      members.forEach((own, i) => {
        const turns = Math.floor(own.length / each), round = Math.floor(step / turns);
        if (decks[i][0] != round) {
          decks[i] = [round, shuffled([...own], stream(seed, 1000 + i, round))];
        }
        const at = step % turns * each;
        chosen.push(...decks[i][1].slice(at, at + each));
      });
      return chosen;
    }

    function augmented(step) {
      const random = stream(seed, 2, step), chosen = batch(step);
      chosen.forEach((image, i) => {
        const own = Math.floor(i / each), row = own * 2 * each + i % each;
        view(images + image * 3072, row, recipe(config, own, random));
        view(images + image * 3072, row + each, recipe(config, own, random));
      });
    }

    // Forward and backward -----------------------------------------------------------------------

    /** Groups of the rows of a batch: their number. */
    function grouping(number, subsets, step) {
      const at = group >> 2, size = number / subsets;
      if (config.norm == "split") for (let i = 0; i < number; i++) U[at + i] = Math.floor(i / size);
      else U.fill(0, at, at + number);
      if (config.norm == "ghost") {
        const half = size / 2;
        dealt(number / 2, step).forEach((image, place) => {
          const row = Math.floor(image / half) * size + image % half;
          U[at + row] = U[at + row + half] = Math.floor(place * 2 / size);
        });
      }
      return config.norm == "split" || config.norm == "ghost" ? subsets : 1;
    }

    /** Tables of a norm from the moments of its groups. `renorm`: the step of a training batch. */
    function normalise(layer, number, groups, renorm) {
      const {cout, tables: t, running} = layer, own = (running >> 2), none = config.norm == "none";
      if (none) {
        F.fill(0, t.mean >> 2, (t.mean >> 2) + cout);
        F.fill(1, t.variance >> 2, (t.variance >> 2) + cout);
      } else {
        kernels.pool(t.rowMean, t.rowVar, group, number, cout, groups, number / groups, t.mean,
          t.variance, sums);
      }
      const progress = (renorm ?? 0) / config.steps;
      const ramp = (full) => Math.min(Math.max((progress - 1 / 32) / (full - 1 / 32), 0), 1);
      const rMax = 1 + 2 * ramp(8 / 32), dMax = 5 * ramp(5 / 32), renorms = renorm != null;
      for (let i = 0; i < groups * cout; i++) {
        const c = i % cout, mean = F[(t.mean >> 2) + i], gamma = F[(w >> 2) + layer.gamma + c];
        const std = none ? 1 : Math.sqrt(F[(t.variance >> 2) + i] + 1e-5);
        let r = 1, d = 0;
        if (renorms) {
          const oldStd = F[own + cout + c], oldMean = F[own + c];
          r = Math.min(Math.max(std / oldStd, 1 / rMax), rMax);
          d = Math.min(Math.max((mean - oldMean) / oldStd, -dMax), dMax);
          F[own + c] += 0.1 * (mean - oldMean);
          F[own + cout + c] += 0.1 * (std - oldStd);
        }
        F[(t.scale >> 2) + i] = gamma * r / std;
        F[(t.shift >> 2) + i] = F[(w >> 2) + layer.beta + c] + gamma * d;
        // For the way back: 1 / std, r and d.
        F[(t.gain >> 2) + i] = 1 / std;
        F[(t.first >> 2) + i] = r;
        F[(t.second >> 2) + i] = d;
      }
    }

    const tableOf = (layer, row) => U[(group >> 2) + row] * layer.cout * 4;

    /** h and z of the `number` views in the input. */
    function forward(number, groups, renorm) {
      for (const layer of convolutions) {
        const {cout, positions, tables: t} = layer, next = convolutions[convolutions.indexOf(layer) + 1];
        const bytes = positions * cout * 4;
        for (let i = 0; i < number; i++) {
          kernels.forward(layer.x + i * layer.bytes, layer.y + i * bytes, w + layer.w * 4, zeros,
            layer.offsets, layer.groups, layer.step, layer.rows, layer.run, layer.row, cout);
          if (config.norm != "none") {
            kernels.moments(layer.y + i * bytes, t.rowMean + i * cout * 4, t.rowVar + i * cout * 4,
              positions, cout);
          }
        }
        normalise(layer, number, groups, renorm);
        for (let i = 0; i < number; i++) {
          const o = tableOf(layer, i), y = layer.y + i * bytes;
          if (next) {
            // On the way back the gradient was here, on the padding too.
            F.fill(0, next.x + i * next.bytes >> 2, next.x + (i + 1) * next.bytes >> 2);
            kernels.normRelu(y, t.mean + o, t.scale + o, t.shift + o,
              next.x + i * next.bytes + next.inner, layer.out, layer.out, next.row, cout);
          } else {
            kernels.normReluMean(y, t.mean + o, t.scale + o, t.shift + o, h + i * cout * 4,
              positions, cout);
          }
        }
      }
      let x = h;
      linear.forEach((layer, i) => {
        kernels.forward(x, layer.y, w + layer.w * 4, w + layer.bias * 4, layer.offsets,
          number + 3 >> 2, layer.step, 1, layer.run, 0, layer.cout);
        if (linear[i + 1]) kernels.relu(layer.y, (number + 3 & ~3) * layer.cout);
        x = layer.y;
      });
      return x;
    }

    /** The loss of z, and its gradient in the place of the last layer's `dy`. */
    function loss(z) {
      const dz = linear.at(-1).dy, within = config.negatives == "within", wide = depth * 4;
      const size = within ? each : n;
      for (let i = 0; i < 2 * k; i++) {
        // Blocks (subset, view); for negatives of all subsets reordered to (view, subset).
        const to = within ? i : (i & 1) * k + (i >> 1);
        kernels.unit(z + i * each * wide, u + to * each * wide, sizes + to * each * 4, each, depth);
      }
      for (let i = 0; i < n / size; i++) {
        const o = i * 2 * size;
        kernels.contrast(u + o * wide, du + o * wide, table, pitch, size, depth, config.temperature,
          1 / rows, marks + o * 16);
      }
      kernels.unitBackward(du, u, sizes, rows, depth);
      for (let i = 0; i < 2 * k; i++) {
        const from = within ? i : (i & 1) * k + (i >> 1), at = du + from * each * wide >> 2;
        F.copyWithin(dz + i * each * wide >> 2, at, at + each * depth);
      }
      const found = {loss: 0, positive: 0, negative: 0};
      for (let i = marks >> 2; i < (marks >> 2) + 4 * rows; i += 4) {
        found.loss += (Math.log(F[i]) + F[i + 1]) / rows;
        found.positive += F[i + 2] / rows;
        found.negative += F[i + 3] / rows / (2 * size - 2);
      }
      return found;
    }

    function backward(number, groups) {
      linear.toReversed().forEach((layer, i) => {
        const before = linear[linear.length - 2 - i], x = before ? before.y : h;
        const dx = before ? before.dy : dh, quads = number + 3 >> 2;
        for (let q = 0; q < quads; q += 64) {
          kernels.slopes(g + layer.w * 4, x + q * 4 * layer.step, layer.dy + q * 16 * layer.cout,
            packed, layer.offsets, Math.min(64, quads - q), layer.step, 1, layer.run, 0, layer.cout);
        }
        kernels.columns(layer.dy, g + layer.bias * 4, number, layer.cout);
        kernels.transpose(w + layer.w * 4, layer.wt, layer.cin, layer.cout);
        F.fill(0, dx >> 2, (dx >> 2) + quads * 4 * layer.cin);
        kernels.backward(dx, layer.dy, layer.wt, layer.offsets, quads, layer.step, 1, layer.run, 0,
          layer.cout);
        if (before) kernels.reluBackward(dx, x, quads * 4 * layer.cin);
      });
      for (let l = convolutions.length - 1; l >= 0; l--) {
        const layer = convolutions[l], next = convolutions[l + 1], {cout, positions, tables: t} = layer;
        const bytes = positions * cout * 4, factor = next ? 1 : 1 / positions;
        // Where the gradient of the output of image i is, and how it lies there.
        const dout = (i) => (next ? next.x + i * next.bytes + next.inner : dh + i * cout * 4);
        const lie = next ? [layer.out, layer.out, next.row, cout * 4] : [1, positions, 0, 0];
        for (let i = 0; i < number; i++) {
          const o = tableOf(layer, i);
          kernels.normSums(layer.y + i * bytes, t.mean + o, t.scale + o, t.shift + o, dout(i),
            ...lie, factor, cout, t.rowMean + i * cout * 4, t.rowVar + i * cout * 4);
        }
        if (config.norm != "none") slope(layer, number, groups);
        else {
          F.fill(1, t.gain >> 2, (t.gain >> 2) + cout);
          F.fill(0, t.first >> 2, (t.first >> 2) + cout);
          F.fill(0, t.second >> 2, (t.second >> 2) + cout);
        }
        for (let i = 0; i < number; i++) {
          const o = tableOf(layer, i);
          kernels.normBackward(layer.y + i * bytes, t.mean + o, t.scale + o, t.shift + o,
            t.gain + o, t.first + o, t.second + o, dout(i), ...lie, factor, cout);
        }
        for (let i = 0; i < number; i += layer.together) {
          const many = Math.min(layer.together, number - i);
          kernels.slopes(g + layer.w * 4, layer.x + i * layer.bytes, layer.y + i * bytes, packed,
            layer.blocks, layer.groups * many, layer.step, layer.rows, layer.run, layer.row, cout);
        }
        if (l == 0) return;
        kernels.transpose(w + layer.w * 4, layer.wt, layer.rows * layer.run, cout);
        for (let i = 0; i < number; i++) {
          // In the place of the input, which nobody asks for again.
          const dx = layer.x + i * layer.bytes;
          F.fill(0, dx >> 2, dx + layer.bytes >> 2);
          kernels.backward(dx, layer.y + i * bytes, layer.wt, layer.offsets, layer.groups,
            layer.step, layer.rows, layer.run, layer.row, cout);
        }
      }
    }

    /** Gradients of weight and bias of a norm, and the tables for that of its input. */
    function slope(layer, number, groups) {
      const {cout, positions, tables: t} = layer, many = number / groups * positions;
      kernels.poolSums(t.rowMean, group, number, cout, groups, t.sum, sums);
      kernels.poolSums(t.rowVar, group, number, cout, groups, t.along, sums);
      for (let i = 0; i < groups * cout; i++) {
        const c = i % cout, inverse = F[(t.gain >> 2) + i], r = F[(t.first >> 2) + i];
        const plain = F[(t.sum >> 2) + i], along = F[(t.along >> 2) + i] * inverse;
        F[(g >> 2) + layer.gamma + c] += r * along + F[(t.second >> 2) + i] * plain;
        F[(g >> 2) + layer.beta + c] += plain;
        F[(t.gain >> 2) + i] = F[(t.scale >> 2) + i];
        F[(t.first >> 2) + i] = plain / many;
        F[(t.second >> 2) + i] = along * inverse / many;
      }
    }

    // Training and measuring ---------------------------------------------------------------------

    const state = {step: 0, diverged: false};

    /** Loss and gradients of the views in the input. */
    function gradients() {
      const groups = grouping(rows, k, state.step);
      const z = forward(rows, groups, config.norm == "renorm" ? state.step : null);
      const found = loss(z);
      F.fill(0, g >> 2, (g >> 2) + weights);
      backward(rows, groups);
      return found;
    }

    function update() {
      const t = state.step + 1;
      F.copyWithin(kept >> 2, w >> 2, (w >> 2) + weights);
      const most = kernels.adam(w, g, m, s, weights, config.lr, 1 - 0.9 ** t, 1 - 0.999 ** t);
      if (most <= 1e4) return true;
      F.copyWithin(w >> 2, kept >> 2, (kept >> 2) + weights);
      return false;
    }

    /** One step: `{loss, positive, negative}`. After one that went wrong `diverged` is set, with the
     * weights of before. */
    function step() {
      augmented(state.step);
      const found = gradients();
      if (!Number.isFinite(found.loss) || !update()) state.diverged = true;
      else state.step++;
      return found;
    }

    function* clean(source, number, to) {
      for (let done = 0; done < number; done += CHUNK) {
        for (let i = 0; i < CHUNK; i++) {
          view(source + (done + i) * 3072, i, [0, 0, 32, 32, 0, 1, 1, 1, 0, 0, 1, 2, 3, 0, 0, 0]);
        }
        U.fill(0, group >> 2, (group >> 2) + CHUNK);
        forward(CHUNK, 1);
        kernels.unit(h, to + done * width * 4, sizes, CHUNK, width);
        yield;
      }
    }

    const perSubset = Math.floor(capacity / k / 2) * 2, part = k * perSubset;
    const parts = Math.ceil(480 / part), mapped = parts * part;
    const row = (i) => Math.floor(i * mapped / POINTS);
    let before = null;

    /** k-means of the bank, the best of `STARTS` by inertia: how many test images lie in a cluster
     * of their class. */
    function* clusters() {
      const unknown = bank + BANK * width * 4, centroids = room + 160, spare = centroids + width * 40;
      let least = Infinity, counts;
      for (let i = 0; i < STARTS; i++) {
        const random = stream(seed, 4, i);
        for (let j = 0; j < 40; j++) F[(room >> 2) + j] = random();
        kernels.starts(bank, BANK, width, centroids, room, spare);
        const inertia = kernels.lloyd(bank, BANK, width, centroids, spare);
        if (inertia < least) {
          least = inertia;
          kernels.assign(unknown, TESTED, width, centroids, spare, spare + TESTED * 4);
          counts = Array(100).fill(0);
          for (let j = 0; j < TESTED; j++) counts[U[(spare >> 2) + j] * 10 + j % 10]++;
        }
        yield;
      }
      return matched(counts);
    }

    /** kNN, clusters, probe and map of the network as it stands; yields now and then. */
    function* evaluate() {
      yield* clean(images, BANK, bank);
      yield* clean(tests, TESTED, bank + BANK * width * 4);
      const hits = kernels.knn(bank + BANK * width * 4, TESTED, bank, BANK, width, room);
      const grouped = yield* clusters();
      const random = stream(seed, 3, 0);
      for (let i = 0; i < parts; i++) {
        for (let j = 0; j < part; j++) {
          const own = Math.floor(j / perSubset);
          view(tests + (i * part + j) % DRAWN * 3072, j, recipe(config, own, random));
          B[classes + i * part + j] = own;
        }
        const z = forward(part, grouping(part, k, i));
        F.copyWithin(mapH + i * part * width * 4 >> 2, h >> 2, (h >> 2) + part * width);
        kernels.unit(z, mapZ + i * part * depth * 4, sizes, part, depth);
        yield;
      }
      let probe = null;
      if (k > 1) probe = kernels.probe(mapZ, classes, mapped, depth, k, square) / (mapped >> 1);
      return {knn: hits / TESTED, clusters: grouped / TESTED, probe, xy: map()};
    }

    /** Two principal components of h, turned and mirrored towards the map before. */
    function map() {
      if (!before) for (let i = 0; i < 2 * width; i++) D[(axes >> 3) + i] = Math.cos(i * i);
      kernels.components(mapH, mapped, width, axes, flat, square);
      const xy = new Float32Array(2 * POINTS), old = before || xy;
      let size = 0, a = 0, b = 0, c = 0, d = 0;
      for (let i = 0; i < 2 * POINTS; i++) {
        xy[i] = F[(flat >> 2) + 2 * row(i >> 1) + i % 2];
        size += xy[i] ** 2 / 2 / POINTS;
      }
      size = Math.sqrt(size) || 1;
      for (let i = 0; i < 2 * POINTS; i += 2) {
        a += xy[i] * old[i]; b += xy[i] * old[i + 1];
        c += xy[i + 1] * old[i]; d += xy[i + 1] * old[i + 1];
      }
      // Of all rotations, mirrored or not, the one that brings the points nearest.
      const mirror = (a - d) ** 2 + (b + c) ** 2 > (a + d) ** 2 + (b - c) ** 2 ? -1 : 1;
      const turn = before ? Math.atan2(b - mirror * c, a + mirror * d) : 0;
      const cos = Math.cos(turn) / size, sin = Math.sin(turn) / size;
      for (let i = 0; i < 2 * POINTS; i += 2) {
        const x = xy[i], y = mirror * xy[i + 1];
        xy[i] = cos * x - sin * y;
        xy[i + 1] = sin * x + cos * y;
      }
      before = xy.slice();
      return xy;
    }

    /** What each point of the map shows. */
    function points() {
      const byte = (of) => Uint8Array.from({length: POINTS}, (_, i) => of(row(i)));
      const factor = (which) => byte((i) => B[testFactors + i % DRAWN * 3 + which]);
      return {
        labels: byte((i) => i % DRAWN % 10), subsets: byte((i) => B[classes + i]),
        factors: {colour: factor(0), background: factor(1), texture: factor(2)},
      };
    }

    /** Eight images of the last step, first views above second ones: RGBA, 256 by 64. */
    function pictures() {
      const pixels = new Uint8ClampedArray(65536).fill(255), shown = Math.min(8, n), subsets = [];
      const {x, bytes, inner, row: line} = convolutions[0];
      for (let tile = 0; tile < 2 * shown; tile++) {
        const place = Math.floor(tile % shown * n / shown), own = Math.floor(place / each);
        const second = Math.floor(tile / shown);
        if (!second) subsets.push(own);
        const from = x + (own * 2 * each + place % each + second * each) * bytes + inner;
        for (let i = 0; i < 3072; i++) {
          const py = Math.floor(i / 96), px = Math.floor(i % 96 / 3);
          pixels[((second * 32 + py) * 256 + tile % shown * 32 + px) * 4 + i % 3] =
            255 * F[(from + py * line >> 2) + i % 96];
        }
      }
      return {pixels, width: 256, height: 64, subsets};
    }

    return {
      bank, config, convolutions, evaluate, forward, gradients, grouping, h, hash, images, layers, linear,
      pictures, points, state, step, tested: TESTED, tests, update, augmented, batch, view,
      memory: {F, B, w, g, m, s, weights},
      weights: weights - (config.norm == "none" ? convolutions.reduce((a, l) => a + 2 * l.cout, 0) : 0),
    };
  }

  return {SHAPES, check, create, floor, matched};
})();
if (typeof module == "object") module.exports = Lab;
