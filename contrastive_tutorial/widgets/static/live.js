// A closed formula drawn as the reader moves it: no recorded frames, every value in between. The
// state is live.py's. A file of live/ stands before this one and defines `kinds`: for each its
// `numbers(values)`, the package's to 1e-12; `draw(to, width, values, numbers)`, which returns the
// height and what can be dragged (where it lies, and the values that a point stands for); and
// `say(numbers)` in words.

const CSS = `
:host { display: block; }
* { box-sizing: border-box; }
.player { --fg: #1f2328; --muted: #57606a; --line: #d0d7de; --accent: #0a5fa8; --c0: #0072b2;
  --c1: #c24a00; --c2: #00795a; --c3: #a3447a; color: var(--fg); font-size: 0.9rem;
  line-height: 1.45; border: 1px solid var(--line); border-radius: 8px; padding: 0.6rem 0.8rem;
  margin: 0.4rem 0; }
.player[data-theme="dark"] { --fg: #e6e6e6; --muted: #a9b1ba; --line: #48505a; --accent: #6cb6ff;
  --c0: #6cb6ff; --c1: #ff9a5c; --c2: #3fcfa4; --c3: #e29cc5; }
.controls { display: grid; gap: 0.35rem 0.75rem; align-items: center;
  grid-template-columns: max-content minmax(0, 1fr) 5.5em; }
label { font-weight: 600; }
input[type="range"] { width: 100%; height: 1.6rem; margin: 0; accent-color: var(--accent); }
input[type="checkbox"] { width: 1.2rem; height: 1.2rem; justify-self: start; margin: 0.2rem 0;
  accent-color: var(--accent); }
input:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
output { font-variant-numeric: tabular-nums; font-weight: 600; }
.stage { position: relative; margin-top: 0.6rem; }
.stage svg { display: block; overflow: hidden; }
text { font: 12px system-ui, sans-serif; fill: var(--fg); }
.mark { position: absolute; width: 2.4rem; height: 2.4rem; translate: -50% -50%; cursor: grab;
  border-radius: 50%; touch-action: none; user-select: none; -webkit-user-select: none; }
.mark::after { content: ""; position: absolute; inset: 0.5rem; border-radius: 50%;
  border: 2px dashed var(--accent); }
.note { color: var(--muted); font-size: 0.8rem; margin: 0.5rem 0 0; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
@media (max-width: 30rem) {
  .controls { grid-template-columns: minmax(0, 1fr) 5.5em; gap: 0.1rem 0.5rem; }
  .controls label { grid-column: 1 / -1; }
}`;

const sum = (values) => values.reduce((a, b) => a + b, 0);
const range = (count, low, high) =>
  Array.from({ length: count }, (_, i) => low + (high - low) * i / (count - 1));
const two = (value) => value.toFixed(2).replace("-0.00", "0.00");

// -- drawing ------------------------------------------------------------------------------------

function canvas(svg) {
  const put = (parent, tag, attributes, words) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    if (words !== undefined) node.textContent = words;
    parent.append(node);
    return node;
  };
  const text = (x, y, words, more = {}) => put(svg, "text", { x, y, ...more }, words);
  function axes({ left = 44, top, width, height, x: [x0, x1], y: [y0, y1], ticks = [], ups = [],
    label = "", title = "" }) {
    const X = (value) => (value - x0) / (x1 - x0) * width;
    const Y = (value) => height - (value - y0) / (y1 - y0) * height;
    const line = (ax, ay, bx, by, colour = "var(--line)") =>
      put(svg, "path", { d: `M${left + ax},${top + ay}L${left + bx},${top + by}`, stroke: colour });
    for (const t of ticks) {
      line(X(t), 0, X(t), height);
      text(left + X(t), top + height + 15, t, { "text-anchor": "middle" });
    }
    for (const t of ups) {
      line(0, Y(t), width, Y(t));
      text(left - 6, top + Y(t) + 4, t, { "text-anchor": "end" });
    }
    if (label) text(left + width / 2, top + height + 31, label, { "text-anchor": "middle" });
    if (title) text(left, top - 7, title, { "font-weight": 600, style: "font-weight:600" });
    const inside = put(svg, "svg", { x: left, y: top, width, height });
    const path = (points, close) => points.map(([x, y], i) =>
      `${i ? "L" : "M"}${X(x).toFixed(1)},${Y(Math.max(-1e3, Math.min(1e3, y))).toFixed(1)}`)
      .join("") + (close ? "Z" : "");
    return { X, Y, line, place: (x, y) => [left + X(x), top + Y(y)],
      curve: (points, colour, dash = "", size = 2) => put(inside, "path", { d: path(points),
        fill: "none", stroke: colour, "stroke-width": size, "stroke-dasharray": dash }),
      area: (points, colour, opacity = 0.35) => put(inside, "path", { d: path(points, true),
        fill: colour, opacity }),
      dot: (x, y, colour, shape = "circle") => put(inside, shape, shape === "circle"
        ? { cx: X(x), cy: Y(y), r: 5, fill: colour }
        : { x: X(x) - 5, y: Y(y) - 5, width: 10, height: 10, fill: colour }),
      circle: (x, y, r, colour, opacity, dash = "") => put(inside, "ellipse", { cx: X(x), cy: Y(y),
        rx: X(r) - X(0), ry: Y(0) - Y(r), fill: colour, "fill-opacity": opacity, stroke: colour,
        "stroke-dasharray": dash }),
      arrow(x, y, dx, dy, colour) {
        const [u, v, w, z] = [X(x), Y(y), X(x + dx), Y(y + dy)];
        const size = Math.hypot(w - u, z - v) || 1;
        const [a, b] = [(w - u) / size * 8, (z - v) / size * 8];
        put(inside, "path", { fill: "none", stroke: colour, "stroke-width": 2, d: `M${u},${v}L${w}`
          + `,${z}M${w - a - b / 2},${z - b + a / 2}L${w},${z}L${w - a + b / 2},${z - b - a / 2}` });
      },
      say: (x, y, words, more) => text(left + X(x), top + Y(y), words, more),
      inverse: (px, py) => [x0 + (px - left) / width * (x1 - x0),
        y1 - (py - top) / height * (y1 - y0)] };
  }
  return { text, axes };
}

const P = "var(--c0)", Q = "var(--c1)", GOOD = "var(--c2)", FG = "var(--fg)";

function render({ model, el }) {
  const kind = kinds[model.get("kind")], controls = model.get("controls");
  const player = element("div", { class: "player", role: "group", "aria-label": model.get("title") });
  const fields = element("div", { class: "controls" });
  const stage = element("div", { class: "stage" });
  const live = element("div", { class: "unseen", role: "status", "aria-live": "polite" });
  player.append(fields, stage, live, element("p", { class: "note" },
    "Move the sliders, or drag what is ringed. Computed here, as you move."));
  el.replaceChildren();
  el.attachShadow({ mode: "open" }).append(element("style", {}, CSS), player);
  const values = {}, show = {}, handles = [];
  let marks = [], frame = 0, speech = 0;

  const real = (c) => {
    const value = values[c.name];
    return c.among.length ? c.among[value] : c.log ? 10 ** value : value;
  };

  controls.forEach((c, i) => {
    const check = typeof c.value === "boolean";
    const input = element("input", check ? { id: "c" + i, type: "checkbox" }
      : { id: "c" + i, type: "range", min: c.min, max: c.max, step: c.step });
    const output = element("output", { for: "c" + i });
    values[c.name] = c.value;
    show[c.name] = () => {
      if (check) input.checked = values[c.name];
      else {
        input.value = values[c.name];
        output.textContent = c.words.length ? c.words[values[c.name]] : real(c).toFixed(c.digits);
        input.setAttribute("aria-valuetext", `${c.label} ${output.textContent}`);
      }
    };
    show[c.name]();
    input.addEventListener("input", () =>
      move({ [c.name]: check ? input.checked : Number(input.value) }));
    fields.append(element("label", { for: "c" + i }, c.label), input, output);
  });

  function move(changes) {
    for (const c of controls) {
      const value = changes[c.name];
      if (typeof value === "boolean") values[c.name] = value;
      else if (Number.isFinite(value)) { // a pointer may be anywhere
        const whole = c.min + Math.round((value - c.min) / c.step) * c.step;
        // The decimal that is shown, not a sum of steps beside it.
        values[c.name] = Number(Math.min(c.max, Math.max(c.min, whole)).toFixed(9));
      } else continue;
      show[c.name]();
    }
    frame = frame || requestAnimationFrame(draw);
    clearTimeout(speech);
    speech = setTimeout(() => { live.textContent = kind.say(kind.numbers(meant())); }, 150);
  }
  const meant = () => Object.fromEntries(controls.map((c) =>
    [c.name, real(c)]));

  function draw() {
    frame = 0;
    const width = Math.max(240, Math.min(640, stage.clientWidth || 600));
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const v = meant(), n = kind.numbers(v), done = kind.draw(canvas(svg), width, v, n);
    const size = { width, height: done.height, role: "img", "aria-label": kind.say(n) };
    for (const [name, value] of Object.entries(size)) svg.setAttribute(name, value);
    if (stage.firstChild) stage.firstChild.replaceWith(svg);
    else stage.append(svg);
    marks = done.marks;
    while (handles.length < marks.length) handles.push(handle(handles.length));
    marks.forEach(({ at: [x, y] }, i) => {
      handles[i].style.left = x + "px";
      handles[i].style.top = y + "px";
    });
  }
  function handle(i) {
    const node = element("div", { class: "mark", "aria-hidden": "true" });
    let held = null;
    node.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      held = marks[i].at.map((c, j) => c - [event.clientX, event.clientY][j]);
      node.setPointerCapture(event.pointerId);
    });
    node.addEventListener("pointermove", (event) => {
      if (held) move(marks[i].pull(event.clientX + held[0], event.clientY + held[1]));
    });
    node.addEventListener("lostpointercapture", () => { held = null; });
    stage.append(node);
    return node;
  }

  const forget = followTheme(el, (theme) => { player.dataset.theme = theme; });
  const resized = new ResizeObserver(() => { frame = frame || requestAnimationFrame(draw); });
  draw();
  resized.observe(player);
  return () => { forget(); resized.disconnect(); cancelAnimationFrame(frame); };
}

export default { render };
