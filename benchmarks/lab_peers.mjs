// One training step of the lab's small network in three engines: the lab's own core, TensorFlow.js
// and jax-js, both on WebAssembly. For lab_peers.py: a job (JSON) on standard input, one line of
// JSON on standard output. All times are of the processor.
//
// The peers get the same weights and the same views, already in their memory, and each is written
// as fast as it was found to run. A convolution is patches and one matrix product in both:
// TensorFlow.js has no other that it can differentiate on WebAssembly, and jax-js's own takes longer
// (it is measured too). jax-js compiles the whole step with `jit`.
//
// Beside them stands what no engine can beat in one thread: the products of the step, and nothing
// else, in registers (lab_chains.ts).
import fs from "node:fs";
import path from "node:path";
import {createRequire} from "node:module";

const job = JSON.parse(fs.readFileSync(0, "utf8"));
const require = createRequire(path.join(job.packages, "package.json"));
const {config, rounds, warm} = job, {n, temperature, lr} = config, rows = 2 * n;
const CONVOLUTIONS = [[32, 3, 16], [16, 16, 32]]; // side of the input, channels in and out
const BETAS = [0.9, 0.999], EPS = 1e-8;

function seconds() {
  const {user, system} = process.cpuUsage();
  return (user + system) / 1e6;
}

// The lab -----------------------------------------------------------------------------------------

const Lab = require(path.join(job.lab, "model.js"));
const wasm = new WebAssembly.Module(fs.readFileSync(path.join(job.lab, "lab.wasm")));
const lab = Lab.create(new WebAssembly.Instance(wasm, {}).exports, config);
const {F, w, g} = lab.memory;

/** Parameters, or gradients, of the lab in layers: matrices (inputs, outputs), row by row. */
function parameters(base) {
  const found = [];
  for (const layer of lab.layers) {
    const inputs = layer.rows * layer.run, {cout} = layer, matrix = new Float32Array(inputs * cout);
    for (let k = 0; k < inputs; k++) {
      for (let o = 0; o < cout; o++) {
        matrix[k * cout + o] = F[(base >> 2) + layer.w + ((o >> 3) * inputs + k) * 8 + (o & 7)];
      }
    }
    found.push([matrix, [inputs, cout]]);
    for (const from of layer.groups ? [layer.gamma, layer.beta] : [layer.bias]) {
      found.push([F.slice((base >> 2) + from, (base >> 2) + from + cout), [cout]]);
    }
  }
  return found;
}

/** The views of the first step, (rows, 32, 32, 3). */
function views() {
  const {x, bytes, inner, row} = lab.convolutions[0], out = new Float32Array(rows * 3072);
  lab.augmented(0);
  for (let i = 0; i < rows; i++) {
    for (let y = 0; y < 32; y++) {
      const from = (x + i * bytes + inner + y * row) >> 2;
      out.set(F.subarray(from, from + 96), i * 3072 + y * 96);
    }
  }
  return out;
}

const start = parameters(w), images = views();

function ours() {
  return {
    gradients() {
      const {loss} = lab.gradients();
      return [loss, parameters(g).map(([values]) => values)];
    },
    step() {
      const from = seconds();
      lab.gradients();
      lab.update();
      lab.state.step++;
      return seconds() - from;
    },
  };
}

/** The multiplications and additions of a step's matrix products, without any data. */
function products() {
  const {chains} = new WebAssembly.Instance(
    new WebAssembly.Module(fs.readFileSync(path.join(job.packages, "chains.wasm")))).exports;
  // Forward, for the weights' gradient and, but for the first layer, for the input's.
  let count = 3 * rows * (32 * 64 + 64 * 32 + rows * 32);
  CONVOLUTIONS.forEach(([side, cin, cout], i) => {
    count += (i ? 3 : 2) * rows * (side / 2) ** 2 * 9 * cin * cout;
  });
  return {
    step() {
      const from = seconds();
      chains(count / 48, 0.99);
      return seconds() - from;
    },
  };
}

// TensorFlow.js -----------------------------------------------------------------------------------

async function tensorflow() {
  const tf = require("@tensorflow/tfjs");
  const wasm = require("@tensorflow/tfjs-backend-wasm");
  wasm.setWasmPaths(path.join(path.dirname(require.resolve("@tensorflow/tfjs-backend-wasm")), "/"));
  wasm.setThreadsCount(1);
  tf.env().set("WASM_HAS_MULTITHREAD_SUPPORT", false);
  await tf.setBackend("wasm");
  await tf.ready();
  const variables = start.map(([values, shape]) => tf.variable(tf.tensor(values, shape)));
  const x = tf.tensor(images, [rows, 32, 32, 3]);
  const others = tf.sub(1, tf.eye(rows));
  const optimizer = tf.train.adam(lr, ...BETAS, EPS);

  function patches(x, side, channels) {
    const half = side / 2, parts = [];
    const lines = x.pad([[0, 0], [1, 1], [1, 1], [0, 0]])
      .reshape([rows, half + 1, 2, (side + 2) * channels]);
    for (let i = 0; i < 3; i++) {
      const line = lines.slice([0, i >> 1, i & 1, 0], [rows, half, 1, (side + 2) * channels])
        .reshape([rows * half, half + 1, 2 * channels]);
      for (let j = 0; j < 3; j++) {
        parts.push(line.slice([0, j >> 1, (j & 1) * channels], [rows * half, half, channels])
          .reshape([rows * half * half, channels]));
      }
    }
    return tf.concat(parts, 1);
  }

  function loss() {
    let h = x, at = 0;
    for (const [side, cin, cout] of CONVOLUTIONS) {
      const y = patches(h, side, cin).matMul(variables[at]);
      const mean = y.mean(0), centred = y.sub(mean), variance = centred.square().mean(0);
      h = centred.mul(variables[at + 1].div(variance.add(1e-5).sqrt())).add(variables[at + 2]).relu()
        .reshape([rows, side / 2, side / 2, cout]);
      at += 3;
    }
    h = h.mean([1, 2]).matMul(variables[6]).add(variables[7]).relu();
    const z = h.matMul(variables[8]).add(variables[9]);
    const u = z.div(z.square().sum(1, true).sqrt());
    const all = u.matMul(u, false, true).sub(1).div(temperature).exp().mul(others).sum(1).log();
    const first = u.slice([0, 0], [n, 32]), second = u.slice([n, 0], [n, 32]);
    return all.mean().sub(first.mul(second).sum(1).mean().sub(1).div(temperature));
  }

  return {
    gradients() {
      const {value, grads} = tf.variableGrads(loss);
      return [value.dataSync()[0], variables.map((v) => grads[v.name].dataSync())];
    },
    step() {
      const from = seconds();
      optimizer.minimize(loss, true, variables).dataSync();
      return seconds() - from;
    },
  };
}

// jax-js ------------------------------------------------------------------------------------------
// Every use of an array but the last takes `.ref`.

async function jaxjs(ownConvolution) {
  const jax = await import(require.resolve("@jax-js/jax").replace(/\.cjs$/, ".js"));
  const {numpy: np, lax, tree} = jax;
  await jax.init("wasm");
  jax.defaultDevice("wasm");
  const array = (values, shape) => np.array(values).reshape(shape);

  function patches(x, side, channels) {
    const half = side / 2, parts = [];
    const lines = np.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
      .reshape([rows, half + 1, 2, half + 1, 2, channels]);
    for (let i = 0; i < 3; i++) {
      for (let j = 0; j < 3; j++) {
        const [y, z] = [i >> 1, j >> 1];
        parts.push(lines.ref.slice([], [y, y + half], i & 1, [z, z + half], j & 1, [])
          .reshape([rows * half * half, channels]));
      }
    }
    lines.dispose();
    return np.concatenate(parts, 1);
  }

  function convolution(h, side, cin, cout, weight) {
    if (!ownConvolution) return np.matmul(patches(h, side, cin), weight);
    const kernel = np.transpose(weight.reshape([3, 3, cin, cout]), [3, 2, 0, 1]);
    const y = lax.convGeneralDilated(np.transpose(h, [0, 3, 1, 2]), kernel, [2, 2],
      [[1, 1], [1, 1]]);
    return np.transpose(y, [0, 2, 3, 1]).reshape([rows * side * side / 4, cout]);
  }

  function loss(p, x, others) {
    let h = x, at = 0;
    for (const [side, cin, cout] of CONVOLUTIONS) {
      const y = convolution(h, side, cin, cout, p[at]);
      const centred = y.ref.sub(np.mean(y, 0)), variance = np.mean(np.square(centred.ref), 0);
      const scale = p[at + 1].div(np.sqrt(variance.add(1e-5)));
      h = np.maximum(centred.mul(scale).add(p[at + 2]), 0)
        .reshape([rows, side / 2, side / 2, cout]);
      at += 3;
    }
    h = np.maximum(np.matmul(np.mean(h, [1, 2]), p[6]).add(p[7]), 0);
    const z = np.matmul(h, p[8]).add(p[9]);
    const u = z.ref.div(np.sqrt(np.sum(np.square(z), 1, {keepdims: true})));
    const likeness = np.matmul(u.ref, np.transpose(u.ref));
    const all = np.log(np.sum(np.exp(likeness.sub(1).div(temperature)).mul(others), 1));
    const first = u.ref.slice([0, n]), second = u.slice([n, rows]);
    const partners = np.mean(np.sum(first.mul(second), 1));
    return np.mean(all).sub(partners.sub(1).div(temperature));
  }

  const graded = jax.jit(jax.valueAndGrad(loss));
  const whole = jax.jit((p, m, s, time, x, others) => {
    const [value, slopes] = jax.valueAndGrad(loss)(tree.ref(p), x, others), next = [[], [], []];
    const corrections = BETAS.map((beta) => np.subtract(1, np.exp(time.ref.mul(Math.log(beta)))));
    slopes.forEach((slope, i) => {
      const first = m[i].mul(BETAS[0]).add(slope.ref.mul(1 - BETAS[0]));
      const second = s[i].mul(BETAS[1]).add(np.square(slope).mul(1 - BETAS[1]));
      const root = np.sqrt(second.ref.div(corrections[1].ref)).add(EPS);
      next[0].push(p[i].sub(first.ref.div(corrections[0].ref).div(root).mul(lr)));
      next[1].push(first);
      next[2].push(second);
    });
    return [value, ...next];
  });
  const p = start.map(([values, shape]) => array(values, shape));
  const nought = () => start.map(([, shape]) => np.zeros(shape));
  const x = array(images, [rows, 32, 32, 3]), others = np.subtract(1, np.eye(rows));
  let state = [p, nought(), nought()], time = 0;

  return {
    gradients() {
      const [value, slopes] = graded(tree.ref(state[0]), x.ref, others.ref);
      return [value.item(), slopes.map((slope) => slope.dataSync())];
    },
    step() {
      const from = seconds();
      const [value, ...next] = whole(...state, np.array(++time), x.ref, others.ref);
      state = next;
      value.item();
      state.flat().forEach((a) => a.ref.dataSync()); // the work is done when it is asked for
      return seconds() - from;
    },
  };
}

// In turn -----------------------------------------------------------------------------------------

const norm = (values) => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
const engines = {lab: ours(), "its products alone": products(), "TensorFlow.js": await tensorflow(), "jax-js": await jaxjs(false),
  "jax-js, its own convolution": await jaxjs(true)};
const answer = {}, [loss, gradients] = engines.lab.gradients();
for (const [name, engine] of Object.entries(engines)) {
  if (!engine.gradients || name == "lab") {
    answer[name] = {seconds: []};
    continue;
  }
  const [theirs, slopes] = engine.gradients();
  answer[name] = {
    loss: Math.abs(theirs - loss),
    gradient: Math.max(...slopes.map((slope, i) =>
      norm(slope.map((value, j) => value - gradients[i][j])) / norm(gradients[i]))),
    seconds: [],
  };
}
for (let round = -warm; round < rounds; round++) {
  for (const [name, engine] of Object.entries(engines)) {
    const taken = [];
    // Ours is short beside the clock's grain: several steps a turn.
    for (let i = 0; i < (/^(lab|its)/.test(name) ? job.steps : 1); i++) {
      taken.push(engine.step());
    }
    if (round >= 0) answer[name].seconds.push(taken.sort((a, b) => a - b)[taken.length >> 1]);
  }
}
process.stdout.write(JSON.stringify(answer) + "\n");
