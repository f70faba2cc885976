// Drives the lab's core in node for lab.py and lab_questions.py: a job (JSON) on standard input,
// one line of JSON for each answer on standard output. All times are of the processor.
"use strict";
const fs = require("fs"), path = require("path");
const job = JSON.parse(fs.readFileSync(0, "utf8"));
const Lab = require(path.join(job.folder, "model.js"));
const wasm = new WebAssembly.Module(fs.readFileSync(path.join(job.folder, "lab.wasm")));
const kernels = new WebAssembly.Instance(wasm, {}).exports;
const say = (answer) => fs.writeSync(1, JSON.stringify(answer) + "\n");

function seconds() {
  const {user, system} = process.cpuUsage();
  return (user + system) / 1e6;
}

function measured(lab) {
  let answer;
  for (const work = lab.evaluate(); !answer?.done;) answer = work.next();
  return answer.value;
}

/** `points` measurements on the way: [step, seconds of training, metrics by name]. */
function run(config, points) {
  const lab = Lab.create(kernels, config), {steps} = lab.config, answer = [];
  const {knn, probe} = measured(lab);
  answer.push([0, 0, {knn, probe}]);
  let spent = 0, sums = {loss: 0, positive: 0, negative: 0}, count = 0;
  for (let step = 1; step <= steps; step++) {
    const from = seconds(), found = lab.step();
    spent += seconds() - from;
    if (lab.state.diverged) throw new Error(`diverged at step ${step}`);
    for (const name in sums) sums[name] += found[name];
    count++;
    if (step % Math.ceil(steps / points) && step != steps) continue;
    const {knn, probe} = measured(lab), means = {};
    for (const name in sums) means[name] = sums[name] / count;
    answer.push([step, spent, {knn, probe, ...means}]);
    sums = {loss: 0, positive: 0, negative: 0};
    count = 0;
  }
  return answer;
}

/** Milliseconds of each of `count` steps: the network's (forward, loss, backward, Adam), and the
 * making of the views. */
function speed(config, count) {
  const lab = Lab.create(kernels, config), network = [], views = [];
  for (let i = -5; i < count; i++) {
    const from = seconds();
    lab.augmented(i + 5);
    const between = seconds();
    lab.gradients();
    lab.update();
    lab.state.step++;
    if (i < 0) continue;
    views.push(1000 * (between - from));
    network.push(1000 * (seconds() - between));
  }
  return {network, views, megabytes: kernels.memory.buffer.byteLength / 1e6};
}

for (const one of job.runs) {
  say(job.task == "speed" ? speed(one.config, one.count) : run(one.config, one.points));
}
