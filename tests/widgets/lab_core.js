// Runs the lab's core in node for test_lab_core.py: one job (JSON) on standard input, the answer as
// JSON on standard output. Arrays travel as base64 of little-endian numbers.
"use strict";
const fs = require("fs"), path = require("path");
const job = JSON.parse(fs.readFileSync(0, "utf8"));
const Lab = require(path.join(job.folder, "model.js"));
const wasm = new WebAssembly.Module(fs.readFileSync(path.join(job.folder, "lab.wasm")));
const kernels = new WebAssembly.Instance(wasm, {}).exports;

const floats = (text) => {
  const bytes = Buffer.from(text, "base64");
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
};
const base64 = (array) =>
  Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString("base64");

/** Place in the memory of each parameter, in torch's order; `norm`: whether norms have any. */
function places(lab) {
  const order = [];
  for (const layer of lab.layers) {
    const inputs = layer.rows * layer.run, kernel = layer.kernel || 1;
    for (let o = 0; o < layer.cout; o++) {
      for (let c = 0; c < layer.cin; c++) {
        for (let i = 0; i < kernel * kernel; i++) {
          const k = i * layer.cin + c;
          order.push(layer.w + ((o >> 3) * inputs + k) * 8 + (o & 7));
        }
      }
    }
    const vectors = layer.groups ? [layer.gamma, layer.beta] : [layer.bias];
    if (layer.groups && lab.config.norm == "none") continue;
    for (const from of vectors) for (let o = 0; o < layer.cout; o++) order.push(from + o);
  }
  return order;
}

/** Views (rows, 3, 32, 32) into the input of the network. */
function show(lab, views) {
  const {F} = lab.memory, layer = lab.convolutions[0];
  for (let i = 0; i < views.length; i++) {
    const image = Math.floor(i / 3072), c = Math.floor(i % 3072 / 1024), y = i >> 5 & 31, x = i & 31;
    F[(layer.x + image * layer.bytes + layer.inner + y * layer.row >> 2) + x * 3 + c] = views[i];
  }
}

function train(lab, {views, weights, running, step, steps}) {
  const {F, w, g} = lab.memory, order = places(lab), given = floats(weights);
  if (given.length != order.length) throw new Error(`${given.length} weights, not ${order.length}`);
  order.forEach((place, i) => { F[(w >> 2) + place] = given[i]; });
  if (running) {
    const values = floats(running);
    let at = 0;
    for (const layer of lab.convolutions) {
      F.set(values.subarray(at, at + 2 * layer.cout), layer.running >> 2);
      at += 2 * layer.cout;
    }
  }
  lab.state.step = step || 0;
  show(lab, floats(views));
  const answer = {losses: [], positive: 0, negative: 0};
  for (let i = 0; i < steps; i++) {
    const found = lab.gradients();
    answer.losses.push(found.loss);
    if (i == 0) {
      Object.assign(answer, {positive: found.positive, negative: found.negative});
      answer.gradients = base64(Float32Array.from(order, (place) => F[(g >> 2) + place]));
    }
    if (!lab.update()) throw new Error("diverged");
    lab.state.step++;
  }
  return answer;
}

const tasks = {
  train: ({cases}) => cases.map((one) => train(Lab.create(kernels, one.config), one)),
  images({count}) {
    const lab = Lab.create(kernels, {images: count}), {B} = lab.memory;
    return {
      hash: lab.hash(), train: base64(B.slice(lab.images, lab.images + count * 3072)),
      test: base64(B.slice(lab.tests, lab.tests + 500 * 3072)),
    };
  },
  augment({numbers}) {
    const lab = Lab.create(kernels, {}), {F} = lab.memory, layer = lab.convolutions[0];
    const all = floats(numbers), count = all.length / 16, out = new Float32Array(count * 3072);
    for (let i = 0; i < count; i++) {
      lab.view(lab.images + i * 3072, 0, all.subarray(16 * i, 16 * i + 16));
      for (let j = 0; j < 3072; j++) {
        const at = layer.x + layer.inner + Math.floor(j / 96) * layer.row >> 2;
        out[i * 3072 + j % 3 * 1024 + Math.floor(j / 3)] = F[at + j % 96];
      }
    }
    return base64(out);
  },
  moments({values, images, positions, channels, groups}) {
    // The layer's own way: moments of each image, then of the groups.
    const bytes = images * positions * channels * 4, at = (kernels.heap() + 63) & ~63;
    const room = images * channels * 8 + images * 20 + groups * channels * 8 + 4096;
    const more = at + bytes + room - kernels.memory.buffer.byteLength;
    if (more > 0) kernels.memory.grow(Math.ceil(more / 65536));
    const F = new Float32Array(kernels.memory.buffer), U = new Uint32Array(kernels.memory.buffer);
    const given = floats(values), mean = at + bytes, variance = mean + images * channels * 4;
    const group = variance + images * channels * 4, sums = (group + images * 4 + 7) & ~7;
    const out = sums + images * 16;
    for (let i = 0; i < bytes / 4; i++) F[(at >> 2) + i] = given[i % given.length];
    for (let i = 0; i < images; i++) {
      const o = i * channels * 4;
      kernels.moments(at + i * positions * channels * 4, mean + o, variance + o, positions, channels);
      U[(group >> 2) + i] = Math.floor(i * groups / images);
    }
    kernels.pool(mean, variance, group, images, channels, groups, images / groups, out,
      out + groups * channels * 4, sums);
    return base64(F.slice(out >> 2, (out >> 2) + 2 * groups * channels));
  },
  kmeans({values, count, width, uniform, centroids}) {
    // One fit, from starts drawn with `uniform` or from `centroids`; clusters of the points as well.
    const lab = Lab.create(kernels, {}), {F} = lab.memory, c = lab.convolutions[0].x;
    const u = c + 40 * width, x = (u + 160 + 63) & ~63, room = x + count * width * 4;
    F.set(floats(values), x >> 2);
    if (uniform) {
      F.set(floats(uniform), u >> 2);
      kernels.starts(x, count, width, c, u, room);
    } else F.set(floats(centroids), c >> 2);
    const starts = base64(F.slice(c >> 2, (c >> 2) + 10 * width));
    const inertia = kernels.lloyd(x, count, width, c, room);
    kernels.assign(x, count, width, c, room, room + 4 * count);
    return {
      starts, inertia, centroids: base64(F.slice(c >> 2, (c >> 2) + 10 * width)),
      labels: base64(new Int32Array(F.buffer).slice(room >> 2, (room >> 2) + count)),
    };
  },
  features({config}) {
    const lab = Lab.create(kernels, config), {F} = lab.memory, from = lab.bank >> 2;
    let answer;
    for (const work = lab.evaluate(); !answer?.done;) answer = work.next();
    return {
      clusters: answer.value.clusters, bank: base64(F.slice(from, from + 32000)),
      test: base64(F.slice(from + 32000, from + 48000)),
    };
  },
  matched: ({counts}) => counts.map(Lab.matched),
  floors: ({configs}) => configs.map((config) => Lab.floor(Lab.check(config))),
  check: ({configs}) => configs.map((config) => {
    try {
      return Lab.check(config);
    } catch (error) {
      return {field: error.field, message: error.message};
    }
  }),
  run: ({configs, steps}) => configs.map((config) => {
    const lab = Lab.create(kernels, config), losses = [], measured = () => {
      let answer;
      for (const work = lab.evaluate(); !answer?.done;) answer = work.next();
      const {knn, clusters, probe} = answer.value;
      return {knn, clusters, probe};
    };
    const untrained = measured();
    for (let i = 0; i < steps && !lab.state.diverged; i++) losses.push(lab.step().loss);
    const bytes = kernels.memory.buffer.byteLength;
    return {losses, untrained, after: measured(), ...lab.state, bytes};
  }),
};
process.stdout.write(JSON.stringify(tasks[job.task](job)));
