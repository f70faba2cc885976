"use strict";
// Trains in a worker: the messages are those of README.md. In the page one script holds LAB_WASM,
// model.js and this.
(() => {
  const TURN = 50, TICK = 100, PICTURES = 1000, LIMIT = 60000, EVALUATIONS = 12;
  let kernels = null, run = null, queued = false;
  const channel = new MessageChannel();
  channel.port1.onmessage = work;
  const now = () => performance.now();

  function later() {
    if (!queued) channel.port2.postMessage(0);
    queued = true;
  }

  function say(type, content, moved) {
    postMessage({type, id: run.id, ...content}, moved || []);
  }

  onmessage = ({data}) => {
    if (data.type != "start" && (data.id !== run?.id || !run.lab)) return;
    try {
      if (data.type == "start") start(data);
      else if (data.type == "pause") run.waiting = true;
      else if (data.type == "resume") Object.assign(run, {waiting: false, pausing: false});
      else if (data.type == "step") Object.assign(run, {waiting: false, single: true});
      else if (data.type == "stop") end("stopped");
      else if (data.type == "set") {
        const {id, type, ...changed} = data;
        Object.assign(run.lab.config, Lab.check({...run.lab.config, ...changed}));
      }
      later();
    } catch (error) {
      complain(error, data.id);
    }
  };

  function complain(error, id) {
    postMessage({type: "error", id, message: error.message, field: error.field});
  }

  function start({id, config, paused}) {
    run = {id};
    if (!kernels) {
      const bytes = Uint8Array.from(atob(LAB_WASM), (letter) => letter.charCodeAt(0));
      kernels = new WebAssembly.Instance(new WebAssembly.Module(bytes), {}).exports;
    }
    const lab = Lab.create(kernels, config);
    Object.assign(run, {
      lab, waiting: Boolean(paused), seconds: 0, spent: 0, told: 0, shown: 0, losses: [], unsaid: [],
      evaluated: -1, knn: [], ready: false, measuring: lab.evaluate(),
    });
  }

  /** Whatever comes next, for 50 ms; then the messages that have come in. */
  function work() {
    queued = false;
    if (!run?.lab || run.ended || (run.waiting && run.ready)) return;
    const from = now();
    try {
      do advance(); while (!run.ended && !(run.waiting && run.ready) && now() - from < TURN);
    } catch (error) {
      run.ended = true;
      complain(error, run.id);
    }
    run.spent += now() - from;
    later();
  }

  function advance() {
    const {lab} = run, {config, state} = lab;
    if (run.measuring) {
      const {done, value} = run.measuring.next();
      if (done) measured(value);
      return;
    }
    const full = state.step == config.steps;
    if (full || state.diverged || run.spent > LIMIT) {
      if (run.evaluated != state.step) run.measuring = lab.evaluate();
      else end(state.diverged ? "diverged" : full ? "steps" : "time");
      return;
    }
    const from = now(), found = lab.step();
    run.seconds += (now() - from) / 1000;
    if (state.diverged) return;
    run.last = found;
    run.losses.push(found.loss);
    run.unsaid.push(found.loss);
    const single = run.single;
    if (single || now() - run.told > TICK) tick();
    if (single || now() - run.shown > PICTURES) pictures();
    const every = Math.ceil(config.steps / EVALUATIONS);
    if (single || state.step % every == 0) run.measuring = lab.evaluate();
    if (single) Object.assign(run, {single: false, pausing: true});
  }

  function measured({xy, ...found}) {
    const {lab} = run, {step} = lab.state;
    run.measuring = null;
    run.evaluated = step;
    run.found = found;
    run.knn.push([step, round(run.seconds), found.knn]);
    if (run.ready) say("eval", {step, ...found, xy}, [xy.buffer]);
    else {
      run.ready = true;
      const {knn} = found, band = 1.96 * Math.sqrt(knn * (1 - knn) / lab.tested), {config} = lab;
      say("ready", {
        untrained: {...found, band, xy, ...lab.points()}, floor: Lab.floor(config),
        log2n1: Lab.floor({...config, k: config.negatives == "within" ? config.k : 1}),
        weights: lab.weights, config: {...config},
      }, [xy.buffer]);
      lab.augmented(0);
      pictures();
    }
    if (run.pausing) Object.assign(run, {waiting: true, pausing: false});
  }

  function tick() {
    const {step} = run.lab.state, {loss, positive, negative} = run.last;
    run.told = now();
    say("tick", {
      step, loss, positive, negative, probe: run.found.probe, seconds: run.seconds,
      imagesPerSecond: run.lab.config.n * step / run.seconds, losses: Float32Array.from(run.unsaid),
    });
    run.unsaid = [];
  }

  function pictures() {
    const shown = run.lab.pictures();
    run.shown = now();
    say("views", {step: run.lab.state.step, ...shown}, [shown.pixels.buffer]);
  }

  const round = (x) => Number(x.toFixed(6));
  const mean = (list) => list.reduce((a, b) => a + b, 0) / list.length;

  function end(reason) {
    if (run.ended) return;
    run.ended = true;
    if (run.unsaid.length) tick();
    say("end", {reason, step: run.lab.state.step, export: record(reason)});
  }

  /** The run as `contrastive_tutorial.records` reads it. */
  function record(reason) {
    const {lab, losses, last} = run, {config, state} = lab, {k, n, seed} = config;
    const metrics = {}, curve = [], stretch = Math.ceil(losses.length / 200);
    const {knn, clusters, probe} = run.found || {};
    if (run.found) Object.assign(metrics, {knn10: knn, cluster_accuracy: clusters});
    if (probe != null) metrics.policy_probe_z = probe;
    if (last) {
      metrics.loss_final = mean(losses.slice(-Math.ceil(losses.length / 10)));
      metrics.dot_positive = last.positive;
      metrics.dot_negative = last.negative;
    }
    for (let i = 0; i < losses.length; i += stretch) {
      const part = losses.slice(i, i + stretch);
      curve.push([i + (part.length >> 1), round(mean(part))]);
    }
    return {
      cell: `lab-${config.policy}-${config.negatives}-${config.norm}`, preset: "lab", seed,
      num_subsets: k, data: "shapes", data_hash: lab.hash(), evaluation: "test-batch", metrics,
      evaluations: {},
      hyperparameters: {lab: {...config}, steps: state.step, ended: reason,
        untrained_knn10: run.knn[0]?.[2] ?? null},
      loss_curve: curve, knn_curve: run.knn.slice(-200), train_seconds: round(run.seconds),
      evaluate_seconds: 0, images_per_second: run.seconds ? round(n * state.step / run.seconds) : 0,
      device: `WebAssembly, ${navigator.userAgent}`.replace(/[^ -~]/g, "?").slice(0, 200),
      schema_version: 1,
    };
  }
})();
