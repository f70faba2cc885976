// Thirty points in the plane that learn: gradient descent on a loss of their squared distances,
// one step a frame. Either the points move by themselves, or a linear network that puts them there.
// `lossAndGradient` is the package's loss; see sandbox.py for the state.

const CSS = `
:host { display: block; }
* { box-sizing: border-box; }
.player { --fg: #1f2328; --muted: #57606a; --line: #d0d7de; --field: #fff; --accent: #0a5fa8;
  --k0: #0072b2; --k1: #c24a00; --k2: #00795a; color: var(--fg); font-size: 0.9rem; line-height: 1.45;
  border: 1px solid var(--line); border-radius: 8px; padding: 0.6rem 0.8rem; margin: 0.4rem 0; }
.player[data-theme="dark"] { --fg: #e6e6e6; --muted: #a9b1ba; --line: #48505a; --field: #22272e;
  --accent: #6cb6ff; --k0: #6cb6ff; --k1: #ff9a5c; --k2: #3fcfa4; }
.controls { display: grid; gap: 0.35rem 0.75rem; align-items: center;
  grid-template-columns: max-content minmax(0, 1fr) 4em; }
label { font-weight: 600; }
input { width: 100%; height: 1.6rem; margin: 0; accent-color: var(--accent); }
select, button { font: inherit; color: var(--fg); background: var(--field); min-height: 1.9rem;
  border: 1px solid var(--line); border-radius: 6px; padding: 0.1rem 0.7rem; cursor: pointer; }
select { grid-column: 2 / 4; justify-self: start; max-width: 100%; }
:is(select, button, input):focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
output { font-variant-numeric: tabular-nums; font-weight: 600; }
.buttons { display: flex; gap: 0.5rem; margin: 0.5rem 0; }
.stage svg { display: block; max-width: 100%; touch-action: none; }
.stage text { font: 12px system-ui, sans-serif; fill: var(--fg); }
.point { cursor: grab; }
.note { color: var(--muted); font-size: 0.8rem; margin: 0.5rem 0 0; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
`;

const LOSSES = ["batch-hard", "batch-all", "semi-hard", "InfoNCE"];
const LEARNS = ["a linear network", "the points themselves"];
const MOST_FRAMES = 1800; // half a minute

// The loss, and its derivative by every coordinate, of points [[x, y], ...] with their classes.
function lossAndGradient(name, points, classes, margin, temperature) {
  const n = points.length;
  const d = points.map(([x, y]) => points.map(([u, v]) => (x - u) ** 2 + (y - v) ** 2));
  const w = d.map(() => new Array(n).fill(0)); // of the loss by each distance
  let loss = 0, count = 0;
  const triplet = (a, p, q) => {
    const value = d[a][p] - d[a][q] + margin;
    if (value <= 0) return;
    loss += value;
    count += 1;
    w[a][p] += 1;
    w[a][q] -= 1;
  };
  for (let a = 0; a < n; a++) {
    const friends = [], strangers = [];
    for (let j = 0; j < n; j++) if (j !== a) (classes[j] === classes[a] ? friends : strangers).push(j);
    if (name === "batch-hard") {
      triplet(a, friends.reduce((best, j) => (d[a][j] > d[a][best] ? j : best)),
        strangers.reduce((best, j) => (d[a][j] < d[a][best] ? j : best)));
      continue;
    }
    for (const p of friends) {
      if (name === "InfoNCE") { // pick the friend among the strangers by minus distance / temperature
        const gaps = strangers.map((q) => (d[a][p] - d[a][q]) / temperature);
        const most = Math.max(0, ...gaps); // taken out: e^1000 is no number
        const exps = gaps.map((gap) => Math.exp(gap - most));
        const total = Math.exp(-most) + exps.reduce((s, e) => s + e, 0);
        loss += most + Math.log(total);
        count += 1;
        exps.forEach((e, i) => {
          w[a][p] += e / total / temperature;
          w[a][strangers[i]] -= e / total / temperature;
        });
      } else {
        for (const q of strangers) {
          if (name === "batch-all" || d[a][p] < d[a][q]) triplet(a, p, q);
        }
      }
    }
  }
  const parts = Math.max(1, count);
  const gradient = points.map(([x, y], i) => {
    let gx = 0, gy = 0;
    points.forEach(([u, v], j) => {
      const weight = 2 * (w[i][j] + w[j][i]) / parts;
      gx += weight * (x - u);
      gy += weight * (y - v);
    });
    return [gx, gy];
  });
  return { loss: loss / parts, gradient };
}

const embed = (inputs, weights) => inputs.map((x) =>
  weights.map((row) => row.reduce((sum, w, j) => sum + w * x[j], 0)));

// One step of gradient descent on `start`, {points} or {inputs, weights}; nothing moves farther than
// a tenth at once.
function advance(start, gradient, rate) {
  const short = (step) => {
    const size = Math.hypot(...step.flat());
    return step.map((row) => row.map((v) => (size > 0.1 ? v * 0.1 / size : v)));
  };
  if (!start.weights) {
    return { points: start.points.map((point, i) => {
      const [step] = short([gradient[i].map((g) => rate.points * g)]);
      return point.map((c, j) => c - step[j]);
    }) };
  }
  const slope = start.weights.map((row, k) => row.map((_, j) =>
    rate.network * gradient.reduce((sum, g, i) => sum + g[k] * start.inputs[i][j], 0)));
  const step = short(slope);
  const weights = start.weights.map((row, k) => row.map((w, j) => w - step[k][j]));
  return { inputs: start.inputs, weights, points: embed(start.inputs, weights) };
}

function spreadOf(points) {
  let total = 0, pairs = 0;
  points.forEach(([x, y], i) => points.slice(0, i).forEach(([u, v]) => {
    total += Math.hypot(x - u, y - v);
    pairs += 1;
  }));
  return total / pairs;
}

function render({ model, el }) {
  const classes = model.get("classes"), inputs = model.get("inputs");
  const chosen = { loss: model.get("loss"), margin: model.get("margin"), tau: model.get("tau"),
    learns: model.get("learns") };
  let weights = model.get("weights"), now = null, reach = 1.7;
  let trail = [], timer = 0, frames = 0, seed = 1, held = -1;
  const player = element("div", { class: "player", role: "group", "aria-label": model.get("title") });
  const controls = element("div", { class: "controls" });
  const stage = element("div", { class: "stage" });
  const live = element("div", { class: "unseen", role: "status", "aria-live": "polite" });
  el.replaceChildren();
  el.attachShadow({ mode: "open" }).append(element("style", {}, CSS), player);

  for (const [name, label, options] of [["loss", "loss", LOSSES], ["learns", "what learns", LEARNS]]) {
    const select = element("select", { id: name }, ...options.map((option) =>
      element("option", option === chosen[name] ? { selected: "" } : {}, option)));
    controls.append(element("label", { for: name }, label), select);
    select.addEventListener("change", () => {
      chosen[name] = select.value;
      if (name === "learns") begin();
      else draw(true);
    });
  }
  const sliders = [["margin", "margin", 0.02, 1, 0.02, (v) => v],
    ["tau", "temperature τ", -2, 0.7, 0.02, (v) => 10 ** v]];
  for (const [name, label, min, max, step, real] of sliders) {
    const at = name === "tau" ? Math.log10(chosen.tau) : chosen[name];
    const input = element("input", { id: name, type: "range", min, max, step, value: at });
    const output = element("output", { for: name }, chosen[name].toFixed(2));
    input.addEventListener("input", () => {
      chosen[name] = real(Number(input.value));
      output.textContent = chosen[name].toFixed(2);
      draw(true);
    });
    controls.append(element("label", { for: name }, label), input, output);
  }
  const play = element("button", { type: "button" }, "Train");
  const reset = element("button", { type: "button" }, "Start again");
  const shuffle = element("button", { type: "button" }, "Other start");
  player.append(controls, element("div", { class: "buttons" }, play, reset, shuffle), stage, live,
    element("p", { class: "note" }, "An arrow shows where a point wants to go. Points that learn "
      + "by themselves can be dragged. Squared distances; a step a frame, computed here."));

  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const put = (tag, attributes, parent = svg) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    parent.append(node);
    return node;
  };
  const SIZE = 340, HALF = SIZE / 2;
  svg.setAttribute("role", "img");
  svg.setAttribute("viewBox", `0 0 ${SIZE} ${SIZE + 110}`);
  svg.setAttribute("width", SIZE);
  put("rect", { x: 0.5, y: 0.5, width: SIZE - 1, height: SIZE - 1, fill: "none", stroke: "var(--line)" });
  const arrows = inputs.map(() => put("path", { stroke: "var(--muted)", "stroke-width": 1.5 }));
  const SHAPES = ["M-5,-5H5V5H-5Z", "M0,-7L6,5H-6Z", "M-6,0A6,6,0,1,0,6,0A6,6,0,1,0,-6,0Z"];
  const marks = inputs.map((_, i) => put("path", { class: "point", d: SHAPES[classes[i]],
    fill: `var(--k${classes[i]})`, stroke: "var(--field)" }));
  const words = put("text", { x: 4, y: SIZE + 16 });
  const curves = ["--accent", "--k1"].map((colour) => put("path", { fill: "none",
    stroke: `var(${colour})`, "stroke-width": 2 }));
  put("text", { x: 4, y: SIZE + 106, style: "fill:var(--accent)" }).textContent = "loss";
  put("text", { x: 44, y: SIZE + 106, style: "fill:var(--k1)" }).textContent = "spread (mean distance)";
  stage.append(svg);

  const screen = ([x, y]) => [HALF + x * HALF / reach, HALF - y * HALF / reach];
  function draw(speak) {
    const { points } = now;
    const { loss, gradient } = lossAndGradient(chosen.loss, points, classes, chosen.margin, chosen.tau);
    const spread = spreadOf(points);
    const farthest = Math.max(1.55, ...points.flat().map(Math.abs));
    reach = held < 0 ? farthest * 1.1 : reach; // never closer than at first: a dot is a dot
    points.forEach((point, i) => {
      const [x, y] = screen(point);
      marks[i].setAttribute("transform", `translate(${x.toFixed(2)},${y.toFixed(2)})`);
      const [u, v] = screen(point.map((c, j) => c - 3 * gradient[i][j]));
      arrows[i].setAttribute("d", `M${x.toFixed(2)},${y.toFixed(2)}L${u.toFixed(2)},${v.toFixed(2)}`);
    });
    words.textContent = `loss ${loss.toFixed(3)}, spread ${spread.toFixed(3)}`;
    curves.forEach((curve, k) => curve.setAttribute("d", trail.map((entry, i) =>
      `${i ? "L" : "M"}${(4 + i * (SIZE - 8) / Math.max(150, trail.length)).toFixed(1)},`
      + `${(SIZE + 90 - 32 * Math.min(2, entry[k])).toFixed(1)}`).join("")));
    const moved = `${chosen.loss} moves ${chosen.learns}`;
    svg.setAttribute("aria-label", `${moved}: ${words.textContent}`);
    if (speak) live.textContent = `${moved}: ${words.textContent}`;
    return { loss, gradient, spread };
  }
  function step() {
    const { loss, gradient, spread } = draw(false);
    trail.push([loss, spread]);
    if (trail.length > 600) trail = trail.filter((_, i) => i % 2);
    const before = held < 0 ? null : now.points[held];
    const slow = chosen.loss === "InfoNCE" ? Math.min(1, chosen.tau) : 1; // its slope grows as 1/τ
    now = advance(now, gradient, { points: 0.5 * slow, network: 0.01 * slow });
    if (before) now.points[held] = before;
    frames += 1;
    if (frames >= MOST_FRAMES || document.hidden) return stop();
    timer = requestAnimationFrame(step);
  }
  function stop() {
    cancelAnimationFrame(timer);
    timer = 0;
    play.textContent = "Train";
    draw(true);
  }
  play.addEventListener("click", () => {
    if (timer) return stop();
    frames = 0;
    play.textContent = "Pause";
    timer = requestAnimationFrame(step);
  });
  reset.addEventListener("click", begin);
  shuffle.addEventListener("click", () => {
    seed += 1;
    let state = seed; // a small generator of even numbers: nothing depends on its quality
    const even = () => (state = (state * 16807) % 2147483647) / 2147483647;
    for (let i = 0; i < 9; i++) even();
    weights = weights.map((row) => row.map(() => even() + even() + even() - 1.5));
    begin();
  });
  function begin() { // both kinds start at the same places, a mean distance of one apart
    const size = spreadOf(embed(inputs, weights));
    weights = weights.map((row) => row.map((w) => w / size));
    const points = embed(inputs, weights);
    now = chosen.learns === LEARNS[0] ? { inputs, weights, points } : { points };
    trail = [];
    draw(true);
  }
  function pointer(event) {
    const frame = svg.getBoundingClientRect(), scale = SIZE / frame.width;
    const inside = (v) => Math.max(-1, Math.min(1, v)) * reach;
    return [inside((event.clientX - frame.left) * scale / HALF - 1),
      inside(1 - (event.clientY - frame.top) * scale / HALF)];
  }
  svg.addEventListener("pointerdown", (event) => {
    if (now.weights) return; // a network puts its points where it must
    const at = pointer(event);
    const far = now.points.map(([x, y]) => Math.hypot(x - at[0], y - at[1]));
    const nearest = far.indexOf(Math.min(...far));
    if (far[nearest] > 0.12 * reach) return;
    event.preventDefault();
    held = nearest;
    svg.setPointerCapture(event.pointerId);
  });
  svg.addEventListener("pointermove", (event) => {
    if (held < 0) return;
    now.points[held] = pointer(event);
    if (!timer) draw(false);
  });
  svg.addEventListener("lostpointercapture", () => { held = -1; draw(true); });
  const forget = followTheme(el, (theme) => { player.dataset.theme = theme; });
  begin();
  live.textContent = "";
  return () => { forget(); cancelAnimationFrame(timer); };
}

export default { render };
