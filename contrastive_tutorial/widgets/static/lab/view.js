// The lab as the reader sees it: two settings side by side, each trained by a worker of its own.
// README.md documents the worker's messages, lab.py the state.

const CSS = `
:host { display: block; }
* { box-sizing: border-box; }
.lab { container-type: inline-size; --fg: #1f2328; --muted: #57606a; --line: #d0d7de;
  --field: #fff; --soft: #f4f6f8; --accent: #0a5fa8; --a: #0a5fa8; --b: #b04a00; --error: #b3261e;
  color: var(--fg); font-size: .875rem; line-height: 1.4; border: 1px solid var(--line);
  border-radius: 8px; padding: .7rem .8rem; margin: .4rem 0; }
.lab[data-theme="dark"] { --fg: #e6e6e6; --muted: #a9b1ba; --line: #48505a; --field: #22272e;
  --soft: #1c2128; --accent: #6cb6ff; --a: #6cb6ff; --b: #ffa657; --error: #ff8f87; }
p, figure, fieldset { margin: 0; padding: 0; border: 0; min-width: 0; }
.lab > * + * { margin-top: .6rem; }
label, legend, .q { font-weight: 600; }
.q { font-size: 1.05rem; }
legend { float: left; margin-right: .7rem; padding: 0; }
.row { display: flex; flex-wrap: wrap; gap: .35rem .6rem; align-items: center; }
.row label { font-weight: 400; display: flex; gap: .3rem; align-items: center; }
.row label:has(:checked) { font-weight: 600; }
a { color: var(--accent); }
select, button, input { font: inherit; color: var(--fg); background: var(--field); max-width: 100%;
  border: 1px solid var(--line); border-radius: 6px; min-height: 1.8rem; padding: .05rem .5rem; }
input[type="radio"] { min-height: 0; width: 1.05rem; height: 1.05rem; margin: 0;
  accent-color: var(--accent); }
button { cursor: pointer; }
button:hover:enabled, select:hover:enabled { border-color: var(--accent); }
:disabled { opacity: .5; cursor: default; }
.go { background: var(--accent); border-color: var(--accent); color: var(--field); font-weight: 600;
  min-width: 6rem; }
:is(select, button, input, summary):focus-visible { outline: 2px solid var(--accent);
  outline-offset: 2px; }
.muted, small { color: var(--muted); font-size: .8rem; font-weight: 400; }
.error { color: var(--error); overflow-wrap: anywhere; }
.two, .charts { display: grid; gap: .6rem .9rem; grid-template-columns: repeat(2, minmax(0, 1fr)); }
.charts { grid-template-columns: repeat(4, minmax(0, 1fr)); }
.side { display: grid; gap: .3rem; grid-template-rows: subgrid; grid-row: span 6; min-width: 0; }
.side strong { font-size: .95rem; }
.A { color: var(--a); }
.B { color: var(--b); }
canvas { display: block; width: 100%; border: 1px solid var(--line); border-radius: 6px; }
.views { image-rendering: pixelated; }
.map { aspect-ratio: 1.25; max-height: 20rem; }
figure { display: flex; flex-direction: column; justify-content: space-between; gap: .3rem; }
figure.asked { order: -1; }
figure.asked .plot { box-shadow: inset 0 0 0 2px var(--accent); }
figcaption { display: flex; flex-wrap: wrap; gap: 0 .5em; font-variant-numeric: tabular-nums; }
figcaption small { flex-basis: 100%; }
.plot { position: relative; contain: content; height: 7rem; background: var(--soft);
  border-radius: 6px; }
.plot svg { position: absolute; inset: 0; width: 100%; height: 100%; }
path { fill: none; stroke: currentColor; stroke-width: 1.8; vector-effect: non-scaling-stroke; }
path.dash { stroke-dasharray: 4 3; }
path.ref { stroke-width: 1; stroke-dasharray: 1 3; }
path.band { fill: currentColor; stroke: none; opacity: .18; }
.plot span { position: absolute; font-size: .7rem; line-height: 1; color: var(--muted);
  left: .25rem; background: color-mix(in srgb, var(--soft) 80%, transparent); }
.plot .mark { left: auto; right: .25rem; margin-top: -.8rem; color: inherit; }
.verdict { border-left: 3px solid var(--accent); padding: .2rem .7rem; }
summary { cursor: pointer; width: fit-content; }
table { border-collapse: collapse; margin: .4rem 0; width: 100%; table-layout: fixed; }
th, td { text-align: left; padding: .15rem .4rem .15rem 0; font-weight: 400; }
td > * { width: 100%; min-width: 0; }
tr.differs th { font-weight: 600; }
[aria-invalid="true"] { border-color: var(--error); }
pre { background: var(--soft); border-radius: 6px; padding: .5rem; overflow-x: auto;
  margin: .4rem 0 0; }
[hidden] { display: none !important; }
@container (max-width: 40rem) {
  .charts { grid-template-columns: repeat(2, minmax(0, 1fr)); }
}
@container (min-width: 30rem) {
  .q.twice { display: none; }
}
`;

const SIDES = ["A", "B"];
const GLYPHS = "●○■□▲★✚≡∷☾"; // one per class of the shapes, in their order
const SILENCE_MS = 10_000; // a worker that says nothing for so long may be gone
const CHARTS = {
  loss: ["Loss", "how hard it is to find the other view of an image"],
  pairs: ["Similarity", "of positive (line) and negative pairs (dashes)"],
  probe: ["Policy probe", "how often a linear probe names a view's recipe"],
  knn: ["kNN accuracy", "class by nearest images (line), clusters (dashes)"],
};

const h = element;
const show = (value, digits = 2) => (Number.isFinite(value) ? value.toFixed(digits) : "–");
// The same text once more would be laid out once more.
const write = (node, text) => { if (node.textContent !== text) node.textContent = text; };
const mean = (list) => list.reduce((sum, value) => sum + value, 0) / list.length;

// What this browser lacks for training, in words; empty if nothing.
function lacking(wasm) {
  if (typeof WebAssembly !== "object") return "WebAssembly";
  if (typeof Worker !== "function") return "workers";
  return WebAssembly.validate(wasm) ? "" : "WebAssembly with SIMD";
}

// One worker, and what it has said since the last start.
class Run {
  constructor(hear) {
    this.hear = hear;
    this.id = 0;
    this.forget();
  }

  forget() {
    for (const name of ["begun", "silent", "saving", "ready", "tick", "views", "end", "error"]) {
      this[name] = null;
    }
    Object.assign(this, { losses: [], pairs: [], evals: [], heard: Date.now() });
  }

  begin(source, config) {
    this.forget();
    this.begun = true;
    if (!this.worker) {
      const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
      this.worker = new Worker(url);
      URL.revokeObjectURL(url);
      this.worker.onmessage = ({ data }) => { if (data.id === this.id) this.take(data); };
      this.worker.onerror = (event) => {
        event.preventDefault();
        this.take({ type: "error", message: `The worker failed: ${event.message || "not started"}` });
      };
    }
    this.id += 1;
    this.post("start", { config, paused: true });
  }

  post(type, more) {
    this.heard = Date.now();
    this.worker?.postMessage({ type, id: this.id, ...more });
  }

  take(data) {
    this.heard = Date.now();
    if (data.type === "tick") {
      data.losses.forEach((loss) => this.losses.push([this.losses.length + 1, loss]));
      this.pairs.push([data.step, data.positive, data.negative]);
    }
    if (data.type === "eval") this.evals.push(data);
    else this[data.type] = data;
    this.hear(this, data);
  }

  // All measurements of kNN or probe, the untrained network's first: [step, value].
  measured(metric) {
    return this.ready ? [{ step: 0, ...this.ready.untrained }, ...this.evals]
      .map((found) => [found.step, found[metric] ?? NaN]) : [];
  }

  // The newest value of a metric; what every step moves as the mean over the last tenth of the run.
  value(metric) {
    if (["knn", "clusters", "probe"].includes(metric)) return this.measured(metric).at(-1)?.[1];
    const list = metric === "loss" ? this.losses : this.pairs;
    return mean(list.slice(-Math.ceil(list.length / 10))
      .map((row) => row[metric === "negative" ? 2 : 1]));
  }

  close() {
    this.worker?.terminate();
    this.worker = null;
  }
}

// Each point as the mean of itself and the nine before it.
function smooth(points) {
  return points.map(([x], i) => [x, mean(points.slice(Math.max(0, i - 9), i + 1).map((p) => p[1]))]);
}

// A small plot with one line (or two) a side. It takes lines [class, points], reference levels
// [class, value, text], bands [class, points, half width], the last step and the least range.
function makeChart([title, tip]) {
  const numbers = SIDES.map((side) => h("b", { class: side }));
  const plot = h("div", { class: "plot" });
  const node = h("figure", { role: "img" },
    h("figcaption", {}, h("strong", {}, title), ...numbers, h("small", {}, tip)), plot);
  let drawn;
  function draw({ lines, levels, bands = [], end, range, values }) {
    const all = [...range, ...levels.map((level) => level[1]),
      ...lines.flatMap(([, points]) => points.map((point) => point[1]))].filter(Number.isFinite);
    const [low, high] = all.length ? [Math.min(...all), Math.max(...all)] : [0, 1];
    const pad = (high - low || 1) * 0.06;
    const y = (value) => 100 - (100 * (value - low + pad)) / (high - low + 2 * pad);
    const x = (step) => (100 * step) / end;
    const path = (name, points, close = "") => `<path class="${name}" d="${points.map(
      ([step, value], i) => `${i ? "L" : "M"}${x(step).toFixed(2)} ${y(value).toFixed(2)}`).join("")
    }${close}"/>`;
    const good = (points) => points.filter((point) => Number.isFinite(point[1]));
    const known = levels.filter((level) => Number.isFinite(level[1]));
    const picture = `<svg viewBox="0 0 100 100" preserveAspectRatio="none">${[
      ...known.map(([side, value]) => path(`ref ${side}`, [[0, value], [end, value]])),
      ...bands.filter((band) => band[1].length).map(([side, points, half]) => path(`band ${side}`, [
        ...points.map(([step, value]) => [step, value + half]),
        ...points.map(([step, value]) => [step, value - half]).reverse()], "Z")),
      ...lines.map(([name, points]) => path(name, good(points))),
    ].join("")}</svg><span style="top:.25rem">${show(high)}</span><span style="bottom:.25rem">${
      show(low)}</span>${known.map(([side, value, text]) => text
      ? `<span class="mark ${side}" style="top:${Math.max(14, y(value))}%">${text}</span>` : "").join("")}`;
    if (drawn === picture + values) return;
    drawn = picture + values;
    plot.innerHTML = picture;
    numbers.forEach((number, i) => write(number, values[i]));
    node.setAttribute("aria-label", `${title}, ${tip}: A ${values[0]}, B ${values[1]}${
      known.map(([side, value, text]) => (text ? `; ${text} ${side} ${show(value)}` : "")).join("")}`);
  }
  return { node, draw };
}

// What was recorded of a question, in hundredths, for a browser that cannot train.
function recorded({ metric, curve: [end, ...sides] }) {
  const mark = metric === "negative" ? "dash " : "";
  const lines = sides.map((values, i) => [mark + SIDES[i], values.map((value, at) =>
    [(end * at) / (values.length - 1), (value ?? NaN) / 100])]);
  return { end, lines, levels: [], range: [], values: lines.map(([, points]) =>
    show(points.at(-1)[1])) };
}

function chartData(name, runs, end) {
  const each = (of, mark = "") => runs.map((run, i) => [mark + SIDES[i], of(run)]);
  const level = (text, of) => {
    const found = each((run) => (run.ready ? of(run) : NaN));
    return (found[0][1] === found[1][1] ? [["", found[0][1]]] : found).map((one) => [...one, text]);
  };
  const shown = { pairs: ["positive", "negative"], knn: [name, "clusters"] }[name] || [name];
  const data = { end, levels: [], range: [0, 1], lines: each((run) => run.measured(name)),
    values: runs.map((run) => shown.map((metric) => show(run.value(metric))).join(" / ")) };
  if (name === "loss") {
    return { ...data, range: [], lines: each((run) => smooth(run.losses)), levels: [
      ...level("knows nothing", (run) => run.ready.log2n1),
      ...level("knows the subset", (run) => (run.ready.config.k > 1 ? run.ready.floor : NaN))] };
  }
  if (name === "pairs") {
    return { ...data, lines: [...each((run) => run.pairs),
      ...each((run) => run.pairs.map((row) => [row[0], row[2]]), "dash ")] };
  }
  if (name === "probe") {
    return { ...data,
      levels: level("chance", (run) => (run.ready.config.k > 1 ? 1 / run.ready.config.k : NaN)) };
  }
  return { ...data, range: [0.2, 0.6],
    lines: [...data.lines, ...each((run) => run.measured("clusters"), "dash ")],
    bands: data.lines.map((line, i) => [...line, runs[i].ready?.untrained.band]),
    levels: level("untrained", (run) => run.ready.untrained.knn) };
}

// Colour of every point of the map, and the legend: [text, colour].
function colouring(run, by, palette, names) {
  const { labels, subsets, factors } = run.ready.untrained;
  const values = { class: labels, subset: subsets, ...factors }[by];
  const kinds = names[by] || Array.from({ length: run.ready.config.k }, (_, i) => `subset ${i + 1}`);
  const colours = Array.from(values, (value) => palette[value % palette.length]);
  return { colours, legend: kinds.slice(0, palette.length).map((text, i) => [text, palette[i]]) };
}

function drawMap(canvas, run, colours) {
  const { clientWidth: wide, clientHeight: high } = canvas;
  const scale = devicePixelRatio || 1; // as sharp as the screen
  Object.assign(canvas, { width: wide * scale, height: high * scale });
  const brush = canvas.getContext("2d");
  brush.scale(scale, scale);
  const { labels, xy: first } = run.ready.untrained;
  const xy = run.evals.at(-1)?.xy || first;
  brush.font = `${Math.max(7, Math.min(12, wide / 28))}px system-ui, sans-serif`;
  brush.textAlign = "center";
  brush.textBaseline = "middle";
  const place = (value, size) => size / 2 + (Math.max(-2.2, Math.min(2.2, value)) / 2.4) * (size / 2);
  labels.forEach((label, i) => {
    brush.fillStyle = colours[i];
    brush.fillText(GLYPHS[label], place(xy[2 * i], wide), place(xy[2 * i + 1], high));
  });
}

function render({ model, el, content: { fields, questions, palette, names, script, wasm } }) {
  const defaults = Object.fromEntries(fields.map((field) => [field.name, field.value]));
  const shadow = el.attachShadow({ mode: "open" });
  const lab = h("section", { class: "lab", "aria-label": "The lab" });
  shadow.append(h("style", {}, CSS), lab);

  let question = questions[0];
  let settings;
  // Then running, paused or ended.
  let phase = "idle";
  const missing = lacking(wasm);
  const source = missing ? "" : `const LAB_WASM = "${btoa(String.fromCharCode(...wasm))}";\n${script}`;
  let guess = null;
  const runs = SIDES.map(() => new Run(hear));

  // ---- what the reader sees ----------------------------------------------------------------------

  const button = (text, click, more) => h("button", { type: "button", click, ...more }, text);
  const picker = h("select", { id: "question", change: () => ask(questions[picker.selectedIndex]) },
    ...questions.map((item) => h("option", {}, item.question)));
  // Twice where a picker has it too, but only a wide one says it in full.
  const heading = h("p", { class: questions.length > 1 ? "q twice" : "q" });
  const about = h("p");
  const guesses = h("fieldset", { class: "row" });
  const train = button("Train", go, { class: "go" });
  const step = button("One step", () => { if (prepare()) { phase = "paused"; tell("step"); } });
  const again = button("Reset", () => reset());
  const seed = button("New seed", () => {
    const value = 1 + Math.floor(Math.random() * 9999);
    SIDES.forEach((side) => { settings[side].seed = value; });
    changed();
  });
  const status = h("p", { class: "muted", role: "status" });
  const panels = SIDES.map((side) => {
    const title = h("span");
    const views = h("canvas", { class: "views", role: "img", width: 256, height: 64 });
    const map = h("canvas", { class: "map", role: "img" });
    const state = h("p", { class: "muted" });
    const node = h("div", { class: "side" }, h("strong", { class: side }, `${side}: `, title),
      h("small", {}, "What it sees: eight images, two views of each"), views,
      h("small", {}, "Test images, similar ones close together"), map, state);
    return { side, title, views, map, state, node };
  });
  const by = h("select", { id: "by", change: () => paint() },
    ...Object.keys(names).map((name) => h("option", {}, name)));
  const legend = h("p", { class: "muted" });
  const charts = Object.fromEntries(Object.entries(CHARTS)
    .map(([name, words]) => [name, makeChart(words)]));
  const steps = h("p", { class: "muted" });
  const verdict = h("div", { class: "verdict", role: "status" });
  const inputs = {};
  const rows = fields.map((field) => {
    const cells = SIDES.map((side) => {
      const change = () => {
        settings[side][field.name] = field.choices ? input.value
          : input.value.trim() === "" ? NaN : Number(input.value);
        changed(side, field.name);
      };
      const id = `${side}-${field.name}`;
      const label = { id, change, "aria-label": `${field.label}, ${side}` };
      const input = field.choices
        ? h("select", label, ...Object.entries(field.choices).map(([value, text]) =>
          h("option", { value }, text)))
        : h("input", { ...label, type: "text", inputmode: "decimal", autocomplete: "off" });
      inputs[id] = input;
      return h("td", {}, input);
    });
    return h("tr", {}, h("th", { scope: "row" }, field.label, h("br"), h("small", {}, field.help)),
      ...cells);
  });
  const details = h("details", {}, h("summary", {}, "All settings"),
    h("table", {}, h("thead", {}, h("tr", {}, h("td"), ...SIDES.map((side) =>
      h("th", { scope: "col", class: side }, side)))), h("tbody", {}, ...rows)));
  const python = h("pre", { tabindex: 0 });
  const link = h("input", { readonly: "", hidden: "", "aria-label": "Link to this setting",
    style: "width: 100%" });
  const take = h("details", {}, h("summary", {}, "Take it home"), h("div", { class: "row" },
    ...(model.get("address") ? [button("Copy link", copy)] : []),
    ...SIDES.map((side, i) => button(`Save run ${side} as JSON`, () => save(i)))), link,
    h("small", {}, "Continue in PyTorch:"), python);
  const controls = h("fieldset", {}, h("div", { class: "row" }, train, step, again, seed));
  const guards = [guesses, controls];
  lab.append(
    ...(questions.length > 1 ? [h("div", { class: "row" }, h("label", { for: "question",
      class: "q" }, "Question"), picker)] : []),
    heading, about, guesses, controls, status, h("div", { class: "two" }, ...panels.map((p) => p.node)),
    h("div", { class: "row" }, h("label", { for: "by" }, "Colour by"), by, legend),
    h("div", { class: "charts" }, ...Object.values(charts).map((item) => item.node)),
    steps, verdict, details, take);

  // ---- what the reader does ----------------------------------------------------------------------

  const say = (text) => { status.textContent = text; };
  const chart = () => (question.metric in charts ? question.metric : "pairs");
  const asked = () => SIDES.every((side) => fields.every(({ name, value }) => name === "seed"
    || settings[side][name] === (question[side.toLowerCase()][name] ?? value)));

  function ask(next, changes = {}) {
    question = next;
    picker.selectedIndex = questions.indexOf(next);
    heading.textContent = next.question;
    settings = Object.fromEntries(SIDES.map((side) =>
      [side, { ...defaults, ...next[side.toLowerCase()], ...changes[side] }]));
    guess = null;
    by.value = next.metric === "probe" ? "subset" : "class";
    guesses.replaceChildren(h("legend", {}, "Your guess:"), ...next.options.map((text, i) =>
      h("label", {}, h("input", { type: "radio", name: "guess", change: () => { guess = i; } }), text)));
    changed();
  }

  // After a new value of a setting: everything says so and a new run is made ready. A learning rate
  // may change under way.
  function changed(side, name) {
    const differing = fields.filter((field, i) => {
      for (const key of SIDES) {
        const value = settings[key][field.name];
        if (!Number.isNaN(value)) inputs[`${key}-${field.name}`].value = value;
      }
      const differs = settings.A[field.name] !== settings.B[field.name];
      rows[i].classList.toggle("differs", differs);
      return differs;
    });
    panels.forEach((panel, i) => {
      panel.title.textContent = asked() ? question.sides[i] : differing.map((field) => {
        const value = settings[panel.side][field.name];
        return `${field.label.toLowerCase()} ${field.choices?.[value] || value}`;
      }).join(", ") || "the same setting";
    });
    for (const [name, { node }] of Object.entries(charts)) {
      node.classList.toggle("asked", name === chart());
      node.hidden = missing && name !== chart();
    }
    about.textContent = asked() ? question.about
      : "A question of your own: nothing is recorded for these settings.";
    if (missing) {
      say(`This browser lacks ${missing}, so nothing can be trained here. The curves were recorded, `
        + `with one seed. ${question.measured}`);
    }
    python.textContent = inPython();
    model.set("settings", JSON.parse(JSON.stringify(settings)));
    model.save_changes();
    const run = runs[SIDES.indexOf(side)];
    if (name === "lr" && run.tick && !run.end && settings[side].lr > 0) {
      run.post("set", { lr: settings[side].lr });
    } else reset();
  }

  function inPython() {
    const given = SIDES.map((side) => `${side.toLowerCase()}=${JSON.stringify(Object.fromEntries(
      fields.filter(({ name, value }) => settings[side][name] !== value)
        .map(({ name }) => [name, settings[side][name]])))}`).join(", ");
    return "from contrastive_tutorial.widgets import Lab\n"
      + `experiment = Lab(${given}).experiment("A")  # or "B"\nexperiment.train()`;
  }

  function hash() {
    const parts = new URLSearchParams({ question: question.id });
    for (const side of SIDES) {
      for (const { name, value } of fields) {
        const now = settings[side][name];
        if (now !== (question[side.toLowerCase()][name] ?? value)) parts.set(`${side}.${name}`, now);
      }
    }
    return `#lab?${parts}`;
  }

  // The setting that the page's address asks for; what makes no sense is named and left out.
  function visit() {
    const text = model.get("address") ? location.hash : "";
    const changes = { A: {}, B: {} };
    const notes = [];
    let wanted = questions[0];
    if (text.startsWith("#lab?")) {
      for (const [key, value] of new URLSearchParams(text.slice(5))) {
        const [side, name] = key.split(".");
        const field = fields.find((one) => one.name === name);
        const number = value.trim() ? Number(value) : NaN;
        const found = questions.find((one) => one.id === value);
        if (key === "question" && found) wanted = found;
        else if (SIDES.includes(side) && field && (field.choices
          ? Object.keys(field.choices).includes(value) : Number.isFinite(number))) {
          changes[side][name] = field.choices ? value : number;
        }
        else notes.push(`${key}=${value}`.slice(0, 40));
      }
    }
    ask(wanted, text.startsWith("#lab?") ? changes : model.get("settings"));
    if (missing) return;
    say(notes.length
      ? `Left out of the link: ${notes.join(", ")}.`
      : "Make a guess, then press Train. Both networks learn here, on your machine.");
  }

  async function copy() {
    link.value = location.href.split("#")[0] + hash();
    try {
      history.replaceState(null, "", hash());
      await navigator.clipboard.writeText(link.value);
      say("The link is in the clipboard.");
    } catch {
      link.hidden = false; // the browser keeps the clipboard to itself
      link.select();
      say("Copy the link from the field.");
    }
  }

  function save(i) {
    const run = runs[i];
    if (!run.tick) return say("There is nothing to save before the first step.");
    if (!run.end) {
      run.saving = true; // the record comes with the end of the run
      return run.post("stop");
    }
    run.saving = false;
    const record = run.end.export;
    const file = URL.createObjectURL(new Blob([JSON.stringify(record, null, 1)],
      { type: "application/json" }));
    // The name by which load_records knows a record.
    const { cell, num_subsets: k, seed: s } = record;
    h("a", { href: file, download: `${cell}-K${k}-s${s}.json` }).click();
    setTimeout(() => URL.revokeObjectURL(file), 1000);
    return say(`Run ${SIDES[i]} was saved; load_records reads the file.`);
  }

  // ---- training ----------------------------------------------------------------------------------

  const tell = (type) => {
    runs.forEach((run) => { if (!run.end && !run.error) run.post(type); });
    paint();
  };

  let waiting = 0;
  function reset() {
    phase = "idle";
    runs.forEach((run) => {
      if (run.silent) run.close();
      run.post("stop");
      run.forget();
      run.id += 1; // so that what the old run still says is dropped
    });
    clearTimeout(waiting);
    waiting = setTimeout(prepare, 250); // values typed one after the other need no run each
    paint();
  }

  // Two runs that wait for their first step; false where nothing can be trained.
  function prepare() {
    clearTimeout(waiting);
    if (!source) return false;
    if (phase === "ended") phase = "idle";
    else if (runs.every((run) => run.begun)) return runs.every((run) => !run.error);
    runs.forEach((run, i) => run.begin(source, settings[SIDES[i]]));
    paint();
    return true;
  }

  function go() {
    if (phase === "running") {
      phase = "paused";
      tell("pause");
      say("Paused.");
    } else if (prepare()) {
      phase = "running";
      tell("resume");
      say("Training.");
    }
  }

  let spoken = 0;
  function hear(run, data) {
    if (data.type === "error") {
      if (data.field) {
        phase = "idle";
        runs.forEach((other) => { if (other !== run) other.post("pause"); });
        details.open = true;
      } else run.close();
      say(`${SIDES[runs.indexOf(run)]}: ${data.message}`);
    }
    if (data.type === "end" && run.saving) save(runs.indexOf(run));
    if (phase !== "idle" && runs.every((one) => one.end || one.error)) {
      phase = "ended";
      conclude();
    } else if (data.type === "eval" && Date.now() - spoken > 10_000) {
      spoken = Date.now();
      say(`Step ${data.step}: ${Object.entries(CHARTS).map(([name, [title]]) =>
        `${title} A ${show(runs[0].value(name))}, B ${show(runs[1].value(name))}`).join("; ")}.`);
    }
    paint();
  }

  function conclude() {
    verdict.replaceChildren();
    const whole = runs.every((run) => ["steps", "time"].includes(run.end?.reason));
    const values = runs.map((run) => run.value(question.metric));
    const gap = values[1] - values[0];
    say("Both runs have ended.");
    if (!asked() || !whole) return;
    const [a, b] = runs.map((run) => run.end.step);
    if (a !== b) {
      verdict.replaceChildren(h("p", {}, `A ended at step ${a} and B at step ${b}, so they cannot be `
        + "compared: this device did not end both within their minute."),
      h("p", {}, question.measured));
      return;
    }
    const outcome = Math.abs(gap) < question.same ? 2 : Number(gap > 0);
    const words = [`Your run, seed ${settings.A.seed}: ${question.label} ${show(values[0])} in A, ${
      show(values[1])} in B. So here: ${question.options[outcome]}.`];
    if (guess !== null) {
      words.push(guess === outcome ? "That was your guess." : `You guessed: ${
        question.options[guess]}.`);
    }
    words.push(question.why, `One seed is an anecdote. ${question.measured}`);
    const more = model.get("records");
    verdict.replaceChildren(...words.map((text) => h("p", {}, text || "")),
      ...(more ? [h("a", { href: more }, "All recorded results, with their intervals")] : []));
  }

  // ---- drawing -----------------------------------------------------------------------------------

  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  let planned = 0;
  function paint() {
    if (planned) return;
    const draw = () => requestAnimationFrame(() => {
      planned = 0;
      drawAll();
    });
    planned = calm.matches && phase === "running" ? setTimeout(draw, 1000) : draw();
  }

  function stateOf(run) {
    const { error, end, tick, ready } = run;
    if (error) return `Error: ${error.message}`;
    if (run.silent) return "No answer for ten seconds. Reset starts anew.";
    const pace = tick ? `step ${tick.step} · ${show(tick.seconds, 1)} s · ${
      show(tick.step / tick.seconds, 1)} steps/s · ${Math.round(tick.imagesPerSecond)} images/s` : "";
    if (end?.reason === "diverged") {
      return `Diverged at step ${end.step}. The weights of the step before are kept; take a smaller `
        + "learning rate.";
    }
    if (end) return `${pace} · ${{ steps: "done", time: "its minute is over" }[end.reason] || "stopped"}`;
    return pace || (ready ? `ready: ${ready.weights.toLocaleString("en")} weights`
      : run.begun ? "getting ready…" : "");
  }

  function drawAll() {
    const widths = panels.map(({ map }) => map.clientWidth); // asked later, it costs a layout each
    write(train, { running: "Pause", paused: "Resume", ended: "Train again" }[phase] || "Train");
    step.disabled = phase === "running";
    guesses.disabled = missing || phase !== "idle";
    verdict.hidden = phase !== "ended" || !verdict.childNodes.length;
    // In strides, so that a chart without new values stays as it is.
    const end = missing ? question.curve[0]
      : 20 * Math.ceil(Math.max(1, ...runs.map((run) => run.tick?.step || 0)) / 20);
    runs.forEach((run, i) => {
      const panel = panels[i], { views, map, state, side } = panel;
      write(state, stateOf(run));
      state.className = run.error || run.silent || run.end?.reason === "diverged" ? "error" : "muted";
      for (const { name } of fields) {
        inputs[`${side}-${name}`].setAttribute("aria-invalid", run.error?.field === name);
      }
      if (run.views && run.views !== panel.seen) {
        const { pixels, width, height } = run.views;
        views.getContext("2d").putImageData(new ImageData(pixels, width, height), 0, 0);
        panel.seen = run.views;
      }
      views.setAttribute("aria-label",
        `${side}: eight images in two views each, step ${run.views?.step ?? 0}`);
      map.setAttribute("aria-label", `${side}: map of 300 test images by two principal components, `
        + `step ${run.evals.at(-1)?.step ?? 0}, coloured by ${by.value}`);
      if (!run.ready) return;
      // Hundreds of marks: drawn anew only when they have moved.
      const drawn = `${run.id} ${run.evals.length} ${by.value} ${widths[i]}`;
      if (drawn === panel.drawn) return;
      panel.drawn = drawn;
      const { colours, legend: items } = colouring(run, by.value, palette, names);
      drawMap(map, run, colours);
      if (!i) {
        legend.replaceChildren(...items.flatMap(([text, colour], at) => [h("span", {
          style: `color: ${colour}` }, `${by.value === "class" ? GLYPHS[at] : "■"} `), `${text} `]));
      }
    });
    for (const [name, { draw }] of Object.entries(charts)) {
      draw(missing && name === chart() ? recorded(question) : chartData(name, runs, end));
    }
    write(steps, `Left to right: steps 0 to ${end}.${missing ? "" : " Loss: means of ten steps."}`);
  }

  // ---- coming and going --------------------------------------------------------------------------

  const hide = () => {
    if (!document.hidden || phase !== "running") return;
    phase = "paused";
    tell("pause");
    say("Paused, because the page was hidden.");
  };
  document.addEventListener("visibilitychange", hide);
  const watch = setInterval(() => {
    runs.forEach((run) => {
      const silent = phase === "running" && run.begun && !run.end && !run.error
        && Date.now() - run.heard > SILENCE_MS;
      if (silent !== run.silent) paint();
      run.silent = silent;
    });
  }, 1000);
  const resized = new ResizeObserver(paint);
  resized.observe(lab);

  if (missing) {
    guards.forEach((guard) => { guard.disabled = true; });
    [by, ...Object.values(inputs)].forEach((input) => { input.disabled = true; });
    lab.querySelectorAll("canvas, .side small").forEach((node) => { node.hidden = true; });
  }
  const forget = followTheme(el, (theme) => { lab.dataset.theme = theme; paint(); });
  const linked = () => { if (location.hash.startsWith("#lab?")) visit(); };
  if (model.get("address")) addEventListener("hashchange", linked);
  visit();

  return () => {
    forget();
    resized.disconnect();
    clearInterval(watch);
    clearTimeout(waiting);
    document.removeEventListener("visibilitychange", hide);
    removeEventListener("hashchange", linked);
    runs.forEach((run) => run.close());
  };
}

export default { render };
