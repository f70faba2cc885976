// Recorded embeddings of several experiments side by side. See explorer.py for the data.
// One test image is one dot, the same in every panel; dots move when the number of subsets does.

const CSS = `
:host { display: block; }
* { box-sizing: border-box; }
.explorer { container-type: inline-size; --fg: #1f2328; --muted: #57606a; --line: #d0d7de; --field: #ffffff; --soft: #f4f6f8;
  --accent: #0a5fa8; color: var(--fg); font-size: 0.875rem; line-height: 1.4;
  border: 1px solid var(--line); border-radius: 8px; padding: 0.6rem; margin: 0.4rem 0; }
.explorer[data-theme="dark"] { --fg: #e6e6e6; --muted: #a9b1ba; --line: #48505a; --field: #22272e;
  --soft: #1c2128; --accent: #6cb6ff; }
p { margin: 0; }
.intro { margin-bottom: 0.6rem; }
.controls { display: flex; flex-wrap: wrap; gap: 0.5rem 1.4rem; align-items: center;
  background: var(--soft); border-radius: 6px; padding: 0.45rem 0.6rem; }
.field { display: flex; align-items: center; gap: 0.45rem; min-width: 0; flex-wrap: wrap; }
.field.main { flex: 1 1 17rem; flex-wrap: nowrap; }
label, legend { font-weight: 600; }
fieldset { border: 0; margin: 0; padding: 0; min-width: 0; display: flex; flex-wrap: wrap;
  gap: 0.2rem 0.7rem; align-items: center; }
fieldset legend { float: left; padding: 0; }
fieldset label { font-weight: 400; display: flex; gap: 0.25rem; align-items: center; }
.range { flex: 1 1 7rem; min-width: 6rem; max-width: 22rem; }
input[type="range"] { width: 100%; height: 1.5rem; margin: 0; display: block;
  accent-color: var(--accent); }
.ticks { display: flex; justify-content: space-between; padding: 0 0.15rem; color: var(--muted);
  font-size: 0.72rem; line-height: 1; font-variant-numeric: tabular-nums; }
.ticks span { width: 0.9rem; text-align: center; }
input[type="radio"] { accent-color: var(--accent); width: 1.05rem; height: 1.05rem; margin: 0; }
output { font-weight: 700; font-size: 1.05rem; min-width: 1.4em; font-variant-numeric: tabular-nums; }
select, button { font: inherit; color: var(--fg); background: var(--field); max-width: 100%;
  border: 1px solid var(--line); border-radius: 6px; min-height: 1.75rem; padding: 0.05rem 0.45rem; }
button { cursor: pointer; }
button:hover, select:hover { border-color: var(--accent); }
:is(select, button, input, summary, .stage):focus-visible { outline: 2px solid var(--accent);
  outline-offset: 2px; }
.legend { display: flex; flex-wrap: wrap; gap: 0.3rem; align-items: center; margin: 0.6rem 0; }
.legend .lead { color: var(--muted); margin-right: 0.2rem; }
.chip { display: inline-flex; align-items: center; gap: 0.3rem; border-radius: 1rem;
  padding: 0 0.6rem 0 0.45rem; max-width: 14rem; }
.chip span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; unicode-bidi: isolate; }
.chip svg { width: 0.8rem; height: 0.8rem; flex: none; }
.chip[aria-pressed="true"] { border-color: var(--accent); box-shadow: inset 0 0 0 1px var(--accent);
  font-weight: 600; }
.chip:disabled { visibility: hidden; } /* room for the most subsets: nothing jumps when K moves */
.legend .unused { visibility: hidden; }
.ramp { flex: 0 1 12rem; height: 0.8rem; border-radius: 4px; }
.panels { display: grid; gap: 0 0.45rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 12.5rem), 1fr)); }
.panel { min-width: 0; display: grid; grid-row: span 5; grid-template-rows: subgrid; gap: 0; }
.panels.four { grid-template-columns: 1fr 1fr; }
.panels.four .panel { grid-template-columns: minmax(0, 1fr) 8rem; column-gap: 0.6rem; }
.panels.four .metric { grid-template-columns: minmax(0, 1fr); }
.panels.four .head { grid-column: 1 / -1; }
.panels.four .stage { grid-row: 2 / span 4; align-self: start; margin-bottom: 0.9rem; }
.panels.four .metrics { margin-top: 0; }
.head { padding-bottom: 0.35rem; }
.head strong, .head select { font-size: 1rem; }
.head p { color: var(--muted); font-size: 0.8rem; }
.stage { position: relative; border: 1px solid var(--line); border-radius: 6px; overflow: hidden;
  aspect-ratio: 1; }
canvas { position: absolute; inset: 0; width: 100%; height: 100%; display: block; }
.zoom button { min-width: 1.75rem; line-height: 1; }
.metrics { margin: 0.5rem 0 0; display: grid; gap: 0.3rem; }
.metric { display: grid; grid-template-columns: 1fr auto; gap: 0 0.5rem; align-items: baseline; }
.metric dt { color: var(--muted); font-size: 0.8rem; }
.metric dd { margin: 0; font-variant-numeric: tabular-nums; font-weight: 600; white-space: nowrap; }
.metric .bar { grid-column: 1 / -1; position: relative; height: 0.5rem; border-radius: 3px;
  background: var(--soft); }
.metric .fill { position: absolute; top: 0; bottom: 0; background: var(--accent); opacity: 0.45;
  border-radius: 3px; }
.metric .chance, .metric .floor { position: absolute; top: -0.1rem; bottom: -0.1rem;
  border-left: 1px dashed var(--fg); }
.metric .floor { border-left: 2px solid #c46c9c; }
.metric .whisker { position: absolute; top: 0.02rem; bottom: 0.02rem; border: solid var(--fg);
  border-width: 0 1px; background: linear-gradient(var(--fg), var(--fg)) center / 100% 1px no-repeat; }
.share { font-size: 0.8rem; font-weight: 600; margin-top: 0.4rem; }
.basis { color: var(--muted); font-size: 0.75rem; margin: 0.3rem 0 0.6rem; }
.readout { display: flex; align-items: center; gap: 0.6rem; min-height: 2.1rem; margin-top: 0.2rem;
  overflow-wrap: anywhere; position: sticky; bottom: 0; background: var(--soft); border-radius: 6px;
  padding: 0.15rem 0.6rem; }
.readout canvas { position: static; width: 64px; height: 64px; image-rendering: pixelated; flex: none;
  border-radius: 4px; }
.readout:not(.tall) canvas, .readout canvas.unused { display: none; }
.readout.tall { min-height: 68px; }
.note { color: var(--muted); font-size: 0.78rem; margin-top: 0.4rem; }
details { margin-top: 0.4rem; }
summary { cursor: pointer; width: fit-content; }
.scroll { overflow-x: auto; margin-top: 0.4rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.8rem; }
th, td { padding: 0.2rem 0.6rem; border-bottom: 1px solid var(--line); text-align: right;
  white-space: nowrap; }
th:first-child, th:nth-child(2) { text-align: left; }
caption { text-align: left; color: var(--muted); padding-bottom: 0.3rem; }
tr.now > * { background: var(--soft); font-weight: 600; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%);
  white-space: nowrap; }
[hidden] { display: none !important; }
@container (max-width: 36rem) { /* two and two, so that panels stand side by side */
  .panels, .panels.four { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 0 0.5rem; }
  .panels.four .panel { grid-template-columns: minmax(0, 1fr); }
  .panels.four .stage { grid-row: auto; margin-bottom: 0.5rem; }
  .metric { grid-template-columns: minmax(0, 1fr); }
  .head p { font-size: 0.72rem; }
  .legend { flex-wrap: nowrap; overflow-x: auto; padding: 3px; }
  .legend > * { flex: none; }
}
`;

// Unit-radius outlines, one per category as in plots.MARKERS; used for dots and legend alike.
const SHAPES = [
  "M1 0A1 1 0 1 1-1 0A1 1 0 1 1 1 0Z",
  "M-.88-.88H.88V.88H-.88Z",
  "M0-1.1L1.05.8H-1.05Z",
  "M0-1.25L1 0 0 1.25-1 0Z",
  "M0 1.1L1.05-.8H-1.05Z",
  "M-.42-1.1H.42V-.42H1.1V.42H.42V1.1H-.42V.42H-1.1V-.42H-.42Z",
  "M-1.05-.5L-.5-1.05 0-.55 .5-1.05 1.05-.5 .55 0 1.05 .5 .5 1.05 0 .55-.5 1.05-1.05 .5-.55 0Z",
  "M-1.1 0L.8-1.05V1.05Z",
  "M0-1.25L.32-.4 1.2-.38 .5 .16 .75 1 0 .5-.75 1-.5 .16-1.2-.38-.32-.4Z",
  "M1.1 0L-.8-1.05V1.05Z",
];
const RAMP = ["#0072B2", "#808080", "#D55E00"];
const MOVE_MS = 450;
const REACH = 14; // css pixels around the pointer in which a dot is picked
const EDGE = 0.05; // empty margin of a panel, as a part of its side

function shapeOf(category) {
  return SHAPES[(category + Math.floor(category / SHAPES.length)) % SHAPES.length];
}

// How much of each pixel of a square an outline covers, 0 to 1. Asked point by point, since some
// browsers answer with noise when a page reads what it has drawn.
function coverage(path, scale) {
  const fine = 4;
  const reach = Math.ceil(scale * 1.3);
  const size = 2 * reach;
  const brush = document.createElement("canvas").getContext("2d");
  const outline = new Path2D(path);
  const part = new Float32Array(size * size);
  for (let y = 0; y < size * fine; y++) {
    for (let x = 0; x < size * fine; x++) {
      const inside = brush.isPointInPath(outline, ((x + 0.5) / fine - reach) / scale,
        ((y + 0.5) / fine - reach) / scale);
      if (inside) part[Math.floor(y / fine) * size + Math.floor(x / fine)] += 1 / fine ** 2;
    }
  }
  return { reach, size, part };
}

// A dot over `image` (RGBA, not premultiplied), its centre at (x, y). There are thousands a redraw:
// by hand they take a fraction of the time of as many calls of drawImage.
function blend(image, { reach, size, part }, [red, green, blue], x, y, opacity) {
  const { data, width, height } = image;
  const [left, top] = [Math.round(x) - reach, Math.round(y) - reach];
  const [firstRow, lastRow] = [Math.max(0, -top), Math.min(size, height - top)];
  const [first, last] = [Math.max(0, -left), Math.min(size, width - left)];
  for (let row = firstRow; row < lastRow; row++) {
    let to = 4 * ((top + row) * width + left + first);
    for (let column = first; column < last; column++, to += 4) {
      const alpha = part[row * size + column] * opacity;
      if (!alpha) continue;
      const sum = alpha + (data[to + 3] / 255) * (1 - alpha);
      const share = alpha / sum;
      data[to] += (red - data[to]) * share;
      data[to + 1] += (green - data[to + 1]) * share;
      data[to + 2] += (blue - data[to + 2]) * share;
      data[to + 3] = 255 * sum;
    }
  }
}

function rgbOf(colour) { // "#rrggbb" or "rgb(r,g,b)"
  return colour.startsWith("#") ? [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16))
    : colour.match(/\d+/g).map(Number);
}

function rampColour(level) { // 0 to 255
  const mix = (a, b, t) => [1, 3, 5].map((at) => {
    const [from, to] = [a, b].map((colour) => parseInt(colour.slice(at, at + 2), 16));
    return Math.round(from + (to - from) * t);
  });
  const t = level / 255;
  const [r, g, b] = t < 0.5 ? mix(RAMP[0], RAMP[1], 2 * t) : mix(RAMP[1], RAMP[2], 2 * t - 1);
  return `rgb(${r},${g},${b})`;
}

function render({ model, el }) {
  const data = model.get("data");
  const count = data.count;
  const calm = matchMedia("(prefers-reduced-motion: reduce)");

  // ---- recorded numbers ------------------------------------------------------------------
  const unpacked = new Map();
  function bytes(index) {
    if (!unpacked.has(index)) {
      const letters = atob(data.pool[index]);
      const all = new Uint8Array(letters.length);
      for (let i = 0; i < letters.length; i++) all[i] = letters.charCodeAt(i);
      unpacked.set(index, all);
    }
    return unpacked.get(index);
  }
  const placed = new Map();
  function coordinates(index) { // two 12-bit numbers in three bytes -> x, y in [0, 1], y upwards
    if (!placed.has(index)) {
      const packed = bytes(index);
      const points = new Float32Array(2 * count);
      for (let i = 0; i < count; i++) {
        const [a, b, c] = [packed[3 * i], packed[3 * i + 1], packed[3 * i + 2]];
        points[2 * i] = (a | ((b & 15) << 8)) / 4095;
        points[2 * i + 1] = 1 - ((b >> 4) | (c << 4)) / 4095;
      }
      placed.set(index, points);
    }
    return placed.get(index);
  }

  const ui = {
    k: data.ks.includes(model.get("k")) ? model.get("k") : data.ks[data.ks.length - 1],
    seed: data.seeds.includes(model.get("seed")) ? model.get("seed") : data.seeds[0],
    own: model.get("images") === "own" && data.own,
    colour: data.colour,
    only: new Set(data.colour === "class" ? data.classes : []),
    alone: -1, // the value of a chip that is pointed at
    hover: -1,
    pinned: -1,
  };
  const runOf = (cell) => data.runs[`${cell}|${ui.k}|${ui.seed}`];
  const valuesOf = (cell, k = ui.k) => data.values[`${cell}|${k}`] || {};
  const cellOf = (id) => data.cells.find((cell) => cell.id === id);
  const titleOf = ({ label, id }) => (label === id ? id : `${label} (${id})`);
  const anyRun = () => panels.map((panel) => runOf(panel.cell)).find(Boolean);

  const zeros = new Uint8Array(count);
  function categories(run) { // one number per point
    if (ui.colour === "class") return bytes(data.labels[ui.seed]);
    if (ui.colour === "subset") return run.subsets >= 0 ? bytes(run.subsets) : zeros;
    return bytes(data.factors[ui.colour].values[ui.seed]);
  }
  const isShown = (value) => (ui.alone >= 0 ? value === ui.alone
    : !ui.only.size || ui.only.has(value));
  const isRamp = () => !["class", "subset"].includes(ui.colour)
    && data.factors[ui.colour].kind === "range";
  function categoryNames() {
    if (ui.colour === "class") return data.names;
    if (ui.colour === "subset") return data.subsets;
    return data.factors[ui.colour].names || [];
  }
  const colourOf = (value) => isRamp() ? rampColour(value)
    : data.palette[value % data.palette.length];

  function words(value, { digits }) {
    if (!value) return "–";
    const [mean, low, high] = value;
    return mean.toFixed(digits) + (low === null ? "" : ` ± ${((high - low) / 2).toFixed(digits)}`);
  }
  function seeds(cell, k) {
    const all = Object.values(valuesOf(cell, k));
    return all.length ? Math.max(...all.map((value) => value[3])) : 0;
  }

  // ---- the page --------------------------------------------------------------------------
  const shadow = el.attachShadow({ mode: "open" });
  const root = element("div", { class: "explorer", role: "group", "aria-label": data.title });
  const status = element("div", { class: "unseen", role: "status", "aria-live": "polite" });
  const controls = element("div", { class: "controls" });
  const legend = element("div", { class: "legend", role: "group" });
  const grid = element("div", { class: "panels" });
  const readout = element("p", { class: "readout" });
  const thumb = element("canvas", { width: 64, height: 64, "aria-hidden": "true" });
  const readoutText = element("span");
  readout.append(thumb, readoutText);
  const marked = (what) => data.metrics.some((metric) => metric.range && metric[what] !== null);
  const note = [data.note, "Numbers: mean ± half of the 95% interval over seeds.",
    marked("chance") ? "Dashed mark: guessing." : "",
    marked("untrained") ? "Pink mark: the untrained network." : ""].filter(Boolean).join(" ");
  root.append(element("p", { class: "intro" }, data.intro), controls, legend, grid, readout,
    element("p", { class: "note" }, note), table(), status);
  shadow.append(element("style", {}, CSS), root);

  let speaking = 0;
  function say(text) {
    clearTimeout(speaking);
    speaking = setTimeout(() => { status.textContent = text; }, 200);
  }

  const slider = element("input", { id: "k", type: "range", min: 0, max: data.ks.length - 1,
    step: 1 });
  const sliderValue = element("output", { for: "k" });
  if (data.ks.length > 1) controls.append(element("div", { class: "field main" },
    element("label", { for: "k" }, "Subsets K"),
    element("div", { class: "range" }, slider, element("div", { class: "ticks", "aria-hidden": "true" },
      ...data.ks.map((k) => element("span", {}, String(k))))),
    sliderValue));
  slider.addEventListener("input", () => choose("k", data.ks[Number(slider.value)]));

  function selectField(id, text, options, call) {
    const select = element("select", { id }, ...options.map(([value, words]) =>
      element("option", { value }, words)));
    select.addEventListener("change", () => call(select.value));
    controls.append(element("div", { class: "field" },
      element("label", { for: id }, text), select));
    return select;
  }
  const seedSelect = data.seeds.length > 1
    ? selectField("seed", "Seed", data.seeds.map((seed) => [seed, seed]),
      (value) => choose("seed", Number(value)))
    : null;
  const radios = [];
  const imagesField = element("fieldset", {}, element("legend", {}, "Images"));
  for (const [own, text] of [[false, "clean"], [true, "with their subset's policy"]]) {
    const input = element("input", { type: "radio", name: "images", value: own ? "own" : "clean" });
    radios.push([input, own]);
    input.addEventListener("change", () => choose("images", own ? "own" : "clean"));
    imagesField.append(element("label", {}, input, text));
  }
  if (data.own) controls.append(imagesField);
  const colours = [["class", "class"], ...(data.subsets.length ? [["subset", "subset"]] : []),
    ...Object.keys(data.factors).map((name) => [name, name.replaceAll("_", " ")])];
  if (colours.length > 1) {
    selectField("colour", "Colour by", colours, (value) => {
      ui.colour = value;
      ui.only = new Set(value === "class" ? data.classes : []);
      drawLegend();
      refresh();
      say(`Coloured by ${value}.`);
    }).value = ui.colour;
  }
  const zoom = element("div", { class: "field zoom", role: "group", "aria-label": "Zoom, all panels" });
  for (const [sign, what, factor] of [["+", "Zoom in", 1.6], ["−", "Zoom out", 1 / 1.6],
    ["Whole picture", "Show the whole picture", 0]]) {
    zoom.append(element("button", { type: "button", title: what, "aria-label": what,
      click: () => zoomAt(factor, 0.5, 0.5) }, sign));
  }
  controls.append(zoom);

  // ---- panels ----------------------------------------------------------------------------
  const sizes = new ResizeObserver(() => panels.forEach(fit));
  const view = { scale: 1, x: 0, y: 0 }; // of all panels: the embeddings are aligned
  const panels = data.shown.map((cell, index) => makePanel(cell, index));
  grid.append(...panels.map((panel) => panel.node));
  grid.classList.toggle("four", panels.length === 4);

  function makePanel(cell, index) {
    const panel = { cell, now: null, from: null, to: null, since: 0, side: 0 };
    const title = data.cells.length > data.shown.length
      ? element("select", { "aria-label": `Experiment in panel ${index + 1}` },
        ...data.cells.map((other) => element("option", { value: other.id }, titleOf(other))))
      : element("strong");
    const about = element("p");
    const canvas = element("canvas", { role: "img" });
    const stage = element("div", { class: "stage", tabindex: 0, role: "application" });
    const metrics = element("dl", { class: "metrics" });
    const basis = element("p", { class: "basis" });
    const share = element("p", { class: "share" });
    if (title.tagName === "SELECT") {
      title.value = cell;
      title.addEventListener("change", () => {
        panel.cell = title.value;
        refresh();
        say(describe(panel));
      });
    }
    stage.append(canvas);
    Object.assign(panel, { title, about, canvas, stage, metrics, basis, share,
      context: canvas.getContext("2d"),
      node: element("div", { class: "panel" }, element("div", { class: "head" }, title, about),
        stage, share, metrics, basis) });
    listen(panel);
    return panel;
  }

  // Where point i of a panel lies, in css pixels; the inverse of `unit`.
  function at(panel, i) {
    const room = panel.side * (1 - 2 * EDGE);
    const offset = panel.side * EDGE;
    return [offset + (panel.now[2 * i] - view.x) * view.scale * room,
      offset + (panel.now[2 * i + 1] - view.y) * view.scale * room];
  }
  function unit(part) { // part of a panel's side -> data coordinate, relative to x or y
    return (part - EDGE) / (1 - 2 * EDGE) / view.scale;
  }

  function zoomAt(factor, px, py) {
    const before = [view.x + unit(px), view.y + unit(py)];
    view.scale = factor ? Math.min(24, Math.max(1, view.scale * factor)) : 1;
    view.x = before[0] - unit(px);
    view.y = before[1] - unit(py);
    settle();
  }
  function settle() {
    const span = 1 - 1 / view.scale;
    view.x = Math.min(span, Math.max(0, view.x));
    view.y = Math.min(span, Math.max(0, view.y));
    for (const { stage } of panels) stage.style.touchAction = view.scale > 1 ? "none" : "pan-x pan-y";
    schedule();
  }

  function reveal(panel, i) {
    const [x, y] = at(panel, i);
    if (x > 0 && y > 0 && x < panel.side && y < panel.side) return;
    view.x = panel.now[2 * i] - 0.5 / view.scale;
    view.y = panel.now[2 * i + 1] - 0.5 / view.scale;
    settle();
  }

  function nearest(panel, px, py) {
    const run = runOf(panel.cell);
    if (!run) return -1;
    const values = categories(run);
    let best = -1;
    let closest = REACH * REACH;
    for (let i = 0; i < count; i++) {
      if (!isShown(values[i])) continue;
      const [x, y] = at(panel, i);
      const distance = (x - px) ** 2 + (y - py) ** 2;
      if (distance < closest) [best, closest] = [i, distance];
    }
    return best;
  }

  function listen(panel) {
    const { stage } = panel;
    let grip = null;
    let armed = false; // the wheel zooms from a click until pointer or focus leaves the panel
    const place = (event) => {
      const box = panel.canvas.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    panel.canvas.addEventListener("pointerdown", (event) => {
      grip = { start: place(event), x: view.x, y: view.y, moved: false };
      armed = true;
      if (view.scale > 1) panel.canvas.setPointerCapture(event.pointerId);
    });
    panel.canvas.addEventListener("pointermove", (event) => {
      const [px, py] = place(event);
      if (grip && view.scale > 1 && event.buttons) {
        const room = panel.side * (1 - 2 * EDGE) * view.scale;
        grip.moved = grip.moved || Math.hypot(px - grip.start[0], py - grip.start[1]) > 4;
        view.x = grip.x - (px - grip.start[0]) / room;
        view.y = grip.y - (py - grip.start[1]) / room;
        settle();
      } else {
        point("hover", nearest(panel, px, py));
      }
    });
    panel.canvas.addEventListener("pointerup", (event) => {
      if (grip && !grip.moved) point("pinned", nearest(panel, ...place(event)));
      grip = null;
    });
    panel.canvas.addEventListener("pointerleave", () => point("hover", -1));
    for (const leaving of ["pointerleave", "blur"]) {
      stage.addEventListener(leaving, () => { armed = false; });
    }
    stage.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && (!armed || (event.deltaY > 0 && view.scale === 1))) return;
      event.preventDefault();
      const [px, py] = place(event);
      zoomAt(Math.exp(-event.deltaY * 0.002), px / panel.side, py / panel.side);
    }, { passive: false });
    stage.addEventListener("keydown", (event) => {
      if (event.target !== stage) return;
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      const pan = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };
      if (event.key === "+" || event.key === "=") zoomAt(1.6, 0.5, 0.5);
      else if (event.key === "-") zoomAt(1 / 1.6, 0.5, 0.5);
      else if (event.key === "0") zoomAt(0, 0.5, 0.5);
      else if (event.key === "Escape") {
        armed = false;
        point("pinned", -1);
      }
      else if (step && event.shiftKey) {
        view.x += (0.15 / view.scale) * pan[event.key][0];
        view.y += (0.15 / view.scale) * pan[event.key][1];
        settle();
      } else if (step) {
        const run = runOf(panel.cell);
        if (!run) return;
        let i = ui.pinned < 0 && step < 0 ? count : ui.pinned;
        const values = categories(run);
        do i += step; while (i >= 0 && i < count && !isShown(values[i]));
        if (i >= 0 && i < count) {
          ui.hover = -1;
          point("pinned", i);
          reveal(panel, i);
          say(pointWords(i));
        }
      } else return;
      event.preventDefault();
    });
    sizes.observe(stage);
  }

  function fit(panel) {
    const side = panel.stage.clientWidth;
    const density = window.devicePixelRatio || 1;
    if (!side) return;
    panel.side = side;
    panel.canvas.width = panel.canvas.height = Math.round(side * density);
    schedule();
  }

  // ---- pointing --------------------------------------------------------------------------
  const active = () => (ui.hover >= 0 ? ui.hover : ui.pinned);
  function point(what, i) {
    if (ui[what] === i) return;
    ui[what] = i;
    readPoint();
    schedule();
  }
  function pointWords(i) {
    const run = anyRun();
    const parts = [`Test image ${i}`, data.names[bytes(data.labels[ui.seed])[i]]];
    if (run && run.subsets >= 0) {
      const name = data.subsets[bytes(run.subsets)[i]];
      parts.push(name.startsWith("subset") ? name : `subset ${name}`);
    }
    for (const [name, factor] of Object.entries(data.factors)) {
      const value = bytes(factor.values[ui.seed])[i];
      parts.push(`${name.replaceAll("_", " ")} ${factor.kind === "range"
        ? (factor.low + (factor.high - factor.low) * value / 255).toPrecision(3)
        : factor.names[value]}`);
    }
    return parts.join(" · ");
  }
  // What is pictured beside the words: an image by its number, or what a policy does to a drawn one.
  function pictured(i) {
    if (!data.thumbs || data.pictured === "image") return i;
    if (!ui.own) return -1;
    const run = anyRun();
    if (i >= 0) return run && run.subsets >= 0 ? bytes(run.subsets)[i] % data.thumbs.count : -1;
    return ui.colour === "subset" && ui.alone >= 0 ? ui.alone % data.thumbs.count : -1;
  }
  const touch = matchMedia("(hover: none)").matches;
  function readPoint() {
    const i = active();
    const place = pictured(i);
    const drawn = place >= 0 && data.pictured === "policy"
      ? ` (Pictured: its policy on a drawn ${data.thumbs.of}.)` : "";
    readoutText.textContent = (i >= 0 ? pointWords(i)
      : ui.alone >= 0 ? `Only ${categoryNames()[ui.alone]} in colour; click to keep it so.`
        : touch ? "Tap a dot: the same test image lights up in every panel."
          : "Point at a dot (or press the arrow keys in a panel): the same test image lights up in every panel. Click a panel, and the wheel zooms.")
      + drawn;
    readout.classList.toggle("tall", Boolean(atlas));
    thumb.classList.toggle("unused", place < 0);
    if (atlas && atlas.complete && place >= 0) {
      const { size, columns } = data.thumbs;
      const brush = thumb.getContext("2d");
      brush.clearRect(0, 0, 64, 64);
      brush.imageSmoothingEnabled = false;
      brush.drawImage(atlas, (place % columns) * size, Math.floor(place / columns) * size,
        size, size, 0, 0, 64, 64);
    }
  }
  let atlas = null;
  if (data.thumbs) {
    atlas = new Image();
    atlas.onload = readPoint;
    atlas.src = data.thumbs.source;
  }

  // ---- legend ----------------------------------------------------------------------------
  function drawLegend() {
    legend.replaceChildren();
    ui.alone = -1;
    legend.setAttribute("aria-label", `Show only some values of ${ui.colour}`);
    if (isRamp()) {
      const { low, high } = data.factors[ui.colour];
      const ramp = element("span", { class: "ramp", role: "img",
        "aria-label": `colour scale from ${low.toPrecision(3)} to ${high.toPrecision(3)}` });
      ramp.style.background = `linear-gradient(90deg, ${RAMP.join(",")})`;
      legend.append(low.toPrecision(3), ramp, high.toPrecision(3));
      return;
    }
    legend.append(element("span", { class: "lead" }, "In colour:"));
    const everything = element("button", { type: "button" }, "Show all");
    const mark = () => {
      everything.classList.toggle("unused", !ui.only.size);
      chips.forEach((chip, value) => chip.setAttribute("aria-pressed", ui.only.has(value)));
    };
    const names = categoryNames();
    const chips = names.map((name, value) => {
      const icon = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      icon.setAttribute("viewBox", "-1.4 -1.4 2.8 2.8");
      icon.setAttribute("aria-hidden", "true");
      const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
      path.setAttribute("d", shapeOf(value));
      path.setAttribute("fill", colourOf(value));
      icon.append(path);
      const chip = element("button", { type: "button", class: "chip" }, icon,
        element("span", {}, name));
      const alone = (on) => () => { // one against grey, while the pointer is on its name
        if (ui.alone === (on ? value : -1)) return;
        ui.alone = on ? value : -1;
        readPoint();
        schedule();
      };
      if (!touch) {
        chip.addEventListener("pointerenter", alone(true));
        chip.addEventListener("pointerleave", alone(false));
      }
      chip.addEventListener("click", () => {
        if (!ui.only.delete(value)) ui.only.add(value);
        mark();
        refresh();
        say(ui.only.size ? `Showing only ${[...ui.only].sort((a, b) => a - b)
          .map((one) => names[one]).join(", ")}.` : "Showing all.");
      });
      return chip;
    });
    everything.addEventListener("click", () => {
      ui.only.clear();
      chips[0].focus();
      mark();
      refresh();
      say("Showing all.");
    });
    legend.append(...chips, everything);
    mark();
    useChips();
  }
  function useChips() { // those of subsets that there are at this K
    if (ui.colour !== "subset") return;
    legend.querySelectorAll(".chip").forEach((chip, k) => { chip.disabled = k >= ui.k; });
  }

  // ---- words and numbers -----------------------------------------------------------------
  function describe(panel) {
    const { label } = cellOf(panel.cell);
    if (!runOf(panel.cell)) {
      return `${titleOf(cellOf(panel.cell))} was not recorded at K = ${ui.k}.`;
    }
    const values = valuesOf(panel.cell);
    const numbers = data.metrics.filter(({ name }) => values[name])
      .map((metric) => `${metric.label} ${words(values[metric.name], metric)}`);
    return `${label}: ${numbers.join(", ") || "no metrics recorded"}.`;
  }

  // From the least to the most a metric can be; none where it has no such ends.
  function bar([mean, low, high], { range, chance, untrained }) {
    if (!range) return [];
    const part = (x) => Math.min(100, Math.max(0, (100 * (x - range[0])) / (range[1] - range[0])));
    const node = element("span", { class: "bar", "aria-hidden": "true" });
    const put = (name, from, to) => {
      const piece = element("span", { class: name });
      piece.style.left = `${part(from)}%`;
      piece.style.right = `${100 - part(to)}%`;
      node.append(piece);
    };
    put("fill", range[0], mean);
    if (chance !== null) put("chance", chance, chance);
    if (untrained !== null) put("floor", untrained, untrained);
    if (low !== null) put("whisker", low, high);
    return [node];
  }

  function writePanel(panel) {
    const cell = cellOf(panel.cell);
    const run = runOf(panel.cell);
    const values = valuesOf(panel.cell);
    if (panel.title.tagName === "STRONG") panel.title.textContent = titleOf(cell);
    panel.about.textContent = cell.about;
    const shown = run ? categories(run).filter(isShown).length : 0;
    const filtered = ui.only.size
      ? `, ${shown} of them highlighted (${[...ui.only].sort((a, b) => a - b)
        .map((value) => categoryNames()[value]).join(", ")})` : "";
    panel.canvas.setAttribute("aria-label", run
      ? `${cell.label}, K = ${ui.k}: ${count} ${ui.own && run.own >= 0 ? "augmented" : "clean"} test `
        + `images as dots, coloured by ${ui.colour}${filtered}. ${describe(panel)}`
      : describe(panel));
    panel.stage.setAttribute("aria-label", `${cell.label} embedding. Left and right arrows: next `
      + "test image. Plus, minus, zero: zoom all panels. Shift and arrows: pan.");
    panel.metrics.replaceChildren(...data.metrics.map((metric) => {
      const value = values[metric.name];
      return element("div", { class: "metric" }, element("dt", {}, metric.label),
        element("dd", {}, words(value, metric)), ...(value ? bar(value, metric) : []));
    }));
    const n = seeds(panel.cell);
    const notes = [];
    if (n) notes.push(n > 1 ? `n = ${n} seeds.` : "n = 1 seed: no interval.");
    if (cell.evaluation) notes.push(`Metrics: clean images, BN statistics ${cell.evaluation}.`);
    if (ui.own && run && run.own >= 0) {
      notes.push(`Picture: ${cell.own || "each image with its subset's policy"}.`);
    }
    if (run && run.k !== ui.k) {
      notes.push(`Recorded at K = ${run.k}; K changes nothing in this experiment.`);
    }
    panel.basis.textContent = notes.join(" ");
    const share = ui.own && run && run.share !== null;
    panel.share.hidden = !share;
    if (share) {
      panel.share.textContent = `Neighbours from the own subset: ${run.share.toFixed(2)} `
        + `(by chance ${(1 / ui.k).toFixed(2)})`;
    }
  }

  function table() {
    const body = element("tbody");
    for (const cell of data.cells) {
      for (const k of data.ks) {
        if (!data.recorded.includes(`${cell.id}|${k}`)) continue;
        const values = valuesOf(cell.id, k);
        const n = Math.max(0, ...Object.values(values).map((value) => value[3]));
        const row = element("tr", { "data-k": k }, element("th", { scope: "row" },
          titleOf(cell)), element("td", {}, k), element("td", {}, n),
          ...data.metrics.map((metric) => element("td", {}, words(values[metric.name], metric))));
        body.append(row);
      }
    }
    const head = element("tr", {}, ...["experiment", "K", "seeds n",
      ...data.metrics.map(({ label }) => label)].map((text) => element("th", { scope: "col" }, text)));
    const scroll = element("div", { class: "scroll", tabindex: 0, role: "region",
      "aria-label": "Recorded metrics" }, element("table", {},
      element("caption", {}, "Mean over seeds ± half of the 95% interval; no interval for n = 1."),
      element("thead", {}, head), body));
    return element("details", {}, element("summary", {}, "All numbers as a table"), scroll);
  }

  // ---- drawing ---------------------------------------------------------------------------
  let queued = 0;
  function schedule() {
    if (!queued) queued = requestAnimationFrame(frame);
  }
  function frame(time) {
    queued = 0;
    let moving = false;
    for (const panel of panels) {
      if (panel.to && panel.now !== panel.to) {
        const t = Math.min(1, (time - panel.since) / MOVE_MS);
        if (t >= 1) panel.now = panel.to;
        else {
          const ease = t <= 0 ? 0 : t * t * (3 - 2 * t);
          for (let j = 0; j < panel.now.length; j++) {
            panel.now[j] = panel.from[j] + (panel.to[j] - panel.from[j]) * ease;
          }
          moving = true;
        }
      }
      draw(panel);
    }
    if (moving) schedule();
  }

  function moveTo(panel, target) {
    if (panel.to === target) return;
    const start = panel.now;
    panel.to = target;
    if (!start || !target || calm.matches) {
      panel.now = target;
      return;
    }
    panel.from = start.slice();
    panel.now = start.slice();
    panel.since = performance.now();
  }

  const masks = new Map(); // by outline and size; a zoom makes others
  function mask(path, scale) {
    const key = `${scale} ${path}`;
    if (masks.size > 200) masks.clear();
    if (!masks.has(key)) masks.set(key, coverage(path, scale));
    return masks.get(key);
  }

  function draw(panel) {
    const { context, side } = panel;
    if (!side) return;
    const density = panel.canvas.width / side;
    context.setTransform(1, 0, 0, 1, 0, 0);
    const style = getComputedStyle(root);
    const ink = style.getPropertyValue("--fg").trim();
    const run = runOf(panel.cell);
    if (!run) {
      context.clearRect(0, 0, panel.canvas.width, panel.canvas.height);
      context.setTransform(density, 0, 0, density, 0, 0);
      context.fillStyle = style.getPropertyValue("--muted").trim();
      context.font = `13px ${style.fontFamily}`;
      context.textAlign = "center";
      context.fillText(`Not recorded at K = ${ui.k}`, side / 2, side / 2, side - 16);
      return;
    }
    const radius = Math.min(3.4, Math.max(2.3, side / 105)) * Math.min(2.2, Math.sqrt(view.scale));
    const values = categories(run);
    const image = context.createImageData(panel.canvas.width, panel.canvas.height);
    const room = side * (1 - 2 * EDGE) * view.scale;
    const put = (dot, colour, i, opacity) => blend(image, dot, colour, // place as in `at`
      (side * EDGE + (panel.now[2 * i] - view.x) * room) * density,
      (side * EDGE + (panel.now[2 * i + 1] - view.y) * room) * density, opacity);
    if (ui.only.size || ui.alone >= 0) {
      const faint = mask(SHAPES[0], 0.7 * radius * density);
      for (let i = 0; i < count; i++) if (!isShown(values[i])) put(faint, [128, 128, 128], i, 0.22);
    }
    const ramp = isRamp();
    const outline = (value) => (ramp ? SHAPES[0] : shapeOf(value));
    const looks = new Map();
    for (let i = 0; i < count; i++) {
      const value = values[i];
      if (!isShown(value)) continue;
      if (!looks.has(value)) {
        looks.set(value, [mask(outline(value), radius * density), rgbOf(colourOf(value))]);
      }
      put(...looks.get(value), i, 0.85);
    }
    context.putImageData(image, 0, 0);
    const i = active();
    if (i < 0) return;
    const [x, y] = at(panel, i);
    if (x < 0 || y < 0 || x > side || y > side) return;
    context.setTransform(density, 0, 0, density, 0, 0);
    const value = values[i];
    const label = data.names[bytes(data.labels[ui.seed])[i]];
    const paper = style.getPropertyValue("--field").trim();
    context.lineWidth = 5;
    context.strokeStyle = paper;
    context.beginPath();
    context.arc(x, y, radius * 1.6 + 4, 0, 7);
    context.stroke();
    context.lineWidth = 2.2;
    context.strokeStyle = ink;
    context.stroke();
    context.save();
    context.translate(x, y);
    context.scale(1.6 * radius, 1.6 * radius);
    context.fillStyle = colourOf(value);
    context.fill(new Path2D(outline(value)));
    context.restore();
    context.font = `600 13px ${style.fontFamily}`;
    context.textBaseline = "middle";
    const width = Math.min(side - 16, context.measureText(label).width);
    const left = Math.min(side - width - 8, Math.max(8, x - width / 2));
    const top = y > 42 ? y - 26 : y + 26;
    context.fillStyle = paper;
    context.globalAlpha = 0.9;
    context.fillRect(left - 5, top - 10, width + 10, 20);
    context.globalAlpha = 1;
    context.fillStyle = ink;
    context.fillText(label, left, top + 1, width);
  }

  // ---- change ----------------------------------------------------------------------------
  function refresh() {
    slider.value = data.ks.indexOf(ui.k);
    slider.setAttribute("aria-valuetext", `${ui.k} subsets`);
    sliderValue.textContent = String(ui.k);
    if (seedSelect) seedSelect.value = String(ui.seed);
    for (const [input, own] of radios) input.checked = own === ui.own;
    for (const panel of panels) {
      const run = runOf(panel.cell);
      moveTo(panel, run ? coordinates(ui.own && run.own >= 0 ? run.own : run.clean) : null);
      writePanel(panel);
    }
    for (const row of root.querySelectorAll("tr[data-k]")) {
      row.classList.toggle("now", row.dataset.k === String(ui.k));
    }
    readPoint();
    schedule();
  }

  function choose(what, value) {
    if (what === "k") {
      ui.k = value;
      // Subset ids of another K mean something else.
      if (ui.colour === "subset") {
        if (ui.only.size) {
          ui.only.clear();
          drawLegend();
        }
        useChips();
      }
    } else if (what === "seed") ui.seed = value;
    else ui.own = value === "own";
    refresh();
    const heading = what === "images" ? `Images ${ui.own ? "with their subset's policy" : "clean"}.`
      : `K = ${ui.k}${what === "seed" ? `, seed ${ui.seed}` : ""}.`;
    say(`${heading} ${panels.map(describe).join(" ")}`);
  }

  const forget = followTheme(el, (theme) => {
    root.dataset.theme = theme;
    schedule();
  });
  drawLegend();
  refresh();
  panels.forEach(fit);

  return () => {
    if (queued) cancelAnimationFrame(queued);
    clearTimeout(speaking);
    sizes.disconnect();
    forget();
  };
}

export default { render };
