// The batch builder: whose mean is an image normalised by? Tests hold it to the package's layers.

const CSS = `
:host { display: block; }
* { box-sizing: border-box; }
.builder { --fg: #1f2328; --muted: #57606a; --line: #d0d7de; --field: #ffffff; --accent: #0a5fa8;
  --shared: #cfe3f7; color: var(--fg); font-size: 0.9rem; line-height: 1.45;
  border: 1px solid var(--line); border-radius: 8px; padding: 0.6rem 0.8rem; margin: 0.4rem 0; }
.builder[data-theme="dark"] { --fg: #e6e6e6; --muted: #a9b1ba; --line: #48505a; --field: #22272e;
  --accent: #6cb6ff; --shared: #1d4468; }
.row { display: flex; flex-wrap: wrap; gap: 0.3rem; align-items: center; margin: 0.3rem 0; }
.row > b { min-width: 6.5rem; }
[hidden] { display: none; }
button { font: inherit; color: var(--fg); background: var(--field); border: 1px solid var(--line);
  border-radius: 6px; min-height: 1.9rem; padding: 0.1rem 0.5rem; cursor: pointer; }
button:disabled { opacity: 0.45; cursor: default; }
button:is([aria-selected="true"], [aria-pressed="true"]) { border-color: var(--accent);
  box-shadow: inset 0 0 0 1px var(--accent); font-weight: 600; }
button:focus-visible { outline: 2px solid var(--accent); }
.chip { padding: 0.2rem; line-height: 0; }
.chip svg { width: 30px; height: 30px; }
.views { display: flex; flex-wrap: wrap; gap: 0.5rem 1.2rem; align-items: flex-start; }
.views svg { max-width: 100%; height: auto; }
text { fill: var(--fg); font: 12px system-ui, sans-serif; }
output { display: block; margin-top: 0.4rem; font-variant-numeric: tabular-nums; }
`;

const EPS = 1e-5;

// Which values share a mean: a key for image n and channel c.
const SHARES = {
  batch: (n, c) => c,
  layer: (n) => n,
  instance: (n, c) => `${n},${c}`,
  group: (n, c) => `${n},${c >> 1}`,
  split: (n, c, subset) => `${subset},${c}`,
};

function moments(values) {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  return { mean, var: values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length };
}

// x[n][c][p] in training mode.
function normalize(x, subsets, kind) {
  const sets = new Map();
  const key = (n, c) => String(SHARES[kind](n, c, subsets[n]));
  x.forEach((image, n) => image.forEach((map, c) => {
    sets.set(key(n, c), [...(sets.get(key(n, c)) || []), ...map]);
  }));
  for (const [name, values] of sets) sets.set(name, moments(values));
  return x.map((image, n) => image.map((map, c) => {
    const s = sets.get(key(n, c));
    return map.map((v) => (v - s.mean) / Math.sqrt(s.var + EPS));
  }));
}

// One image under statistics kept from the batch, or its own.
function testing(image, x, subsets, how) {
  const of = (c, subset) => moments(x.flatMap((each, n) =>
    subset === undefined || subsets[n] === subset ? each[c] : []));
  const present = [...new Set(subsets)];
  return image.map((map, c) => {
    let s;
    if (how === "alone") s = moments(map);
    else if (how === "kept") s = of(c);
    else if (how.startsWith("branch:")) s = of(c, Number(how.slice(7)));
    else {
      const each = present.map((subset) => of(c, subset));
      const centre = moments(each.map((e) => e.mean));
      s = { mean: centre.mean, var: moments(each.map((e) => e.var)).mean };
      if (how === "pooled") s.var += centre.var;
    }
    return map.map((v) => (v - s.mean) / Math.sqrt(s.var + EPS));
  });
}

// Channels red, green, blue and grey of a tinted pattern.
function channels(pattern, { gain, offset }) {
  const rgb = pattern.map((map, c) => map.map((v) => v * gain[c] + offset[c]));
  return [...rgb, rgb[0].map((_, p) => (rgb[0][p] + rgb[1][p] + rgb[2][p]) / 3)];
}

function draw(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}
const MAPS = ["red", "green", "blue", "grey"];
const MOST = 8;
const level = (v) => Math.round(255 * Math.min(1, Math.max(0, v)));
const signed = (v) => (v <= -0.005 ? "−" : "+") + Math.abs(v).toFixed(2); // zero is not negative

function render({ model, el }) {
  const { patterns, tints, title } = model.get("content");
  const shadow = el.attachShadow({ mode: "open" });
  const root = element("div", { class: "builder", role: "group", "aria-label": title });
  shadow.append(element("style", {}, CSS), root);
  const forget = followTheme(el, (theme) => { root.dataset.theme = theme; });

  let batch = [0, 0, 0, 1].map((tint, i) => ({ tint, pattern: i }));
  let marked = 0, channel = 0, kind = "batch", test = false, how = "kept";

  const rows = Object.fromEntries(["add", "batch", "kind", "channel", "mode", "how"].map((name) =>
    [name, element("div", { class: "row" })]));
  const views = element("div", { class: "views" });
  const said = element("output", { "aria-live": "polite" });
  root.append(...Object.values(rows), views, said);

  // Buttons, one of them pressed. A redraw carries the focus over.
  function choice(row, label, options, now, choose, role) {
    const held = row.contains(shadow.activeElement);
    const buttons = options.map(([value, text]) => {
      const on = String(value === now);
      const button = element("button", { type: "button",
        ...(role ? { role: "tab", "aria-selected": on, tabindex: value === now ? 0 : -1 }
          : { "aria-pressed": on }) }, text);
      button.addEventListener("click", () => { choose(value); update(); });
      button.addEventListener("keydown", (event) => {
        const turn = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (!turn) return;
        event.preventDefault();
        const at = options.findIndex(([each]) => each === value);
        choose(options[(at + turn + options.length) % options.length][0]);
        update();
      });
      return button;
    });
    const list = element("div", role ? { role: "tablist", "aria-label": label, class: "row" }
      : { class: "row" }, ...buttons);
    row.replaceChildren(element("b", {}, label), list);
    if (held) list.querySelector('[aria-selected="true"], [aria-pressed="true"]').focus();
  }

  function chip({ pattern, tint }) {
    const rgb = channels(patterns[pattern], tints[tint]);
    return draw("svg", { viewBox: "0 0 3 3", "aria-hidden": "true" },
      ...rgb[0].map((_, p) => draw("rect", { x: p % 3, y: Math.floor(p / 3), width: 1.02, height: 1.02,
        fill: `rgb(${level(rgb[0][p])},${level(rgb[1][p])},${level(rgb[2][p])})` })));
  }

  tints.forEach((tint, t) => {
    const button = element("button", { type: "button" }, tint.name);
    button.addEventListener("click", () => {
      const free = patterns.map((_, i) => i).find((i) => !batch.some((b) => b.pattern === i));
      if (batch.length < MOST) batch.push({ tint: t, pattern: free });
      update();
    });
    rows.add.append(...(t ? [] : [element("b", {}, "Add")]), button);
  });
  const out = element("button", { type: "button" }, "Take the marked one out");
  out.addEventListener("click", () => {
    if (batch.length > 2) batch.splice(marked, 1);
    marked = Math.min(marked, batch.length - 1);
    update();
  });
  rows.add.append(out);

  function block(x, subsets) {
    const side = 27, key = (n, c) => String(SHARES[kind](n, c, subsets[n]));
    const svg = draw("svg", { viewBox: `0 0 240 ${22 + x.length * 30}`, width: 252, role: "img",
      "aria-label": "Images by channels; what shares a mean with the marked map is framed" });
    MAPS.forEach((name, c) => svg.append(draw("text", { x: 101 + 37 * c, y: 13, "text-anchor": "middle" }, name)));
    x.forEach((image, n) => {
      const top = 20 + 30 * n;
      svg.append(draw("text", { x: 2, y: top + 18 }, `${n === marked ? "★ " : ""}${n + 1} ${tints[subsets[n]].name}`));
      image.forEach((map, c) => {
        const left = 87 + 37 * c;
        const own = n === marked;
        const shares = test && ["batch", "split"].includes(kind) ? c === channel
          && (how === "alone" ? own : !how.startsWith("b") || how === "branch:" + subsets[n])
          : key(n, c) === key(marked, channel);
        svg.append(draw("rect", { x: left - 2, y: top - 1, width: side + 2, height: side + 2, rx: 3,
          fill: shares ? "var(--shared)" : "none", stroke: shares ? "var(--accent)" : "var(--line)",
          "stroke-width": own && c === channel ? 3.5 : shares ? 2 : 1 }));
        map.forEach((v, p) => svg.append(draw("rect", { x: left + 1.5 + 7 * (p % 3),
          y: top + 2.5 + 7 * Math.floor(p / 3), width: 6.6, height: 6.6, fill: `rgb(${[0, 0, 0].fill(level(v))})` })));
      });
    });
    return svg;
  }

  function strips(before, after, subsets) {
    const svg = draw("svg", { viewBox: "0 0 330 262", width: 400, role: "img",
      "aria-label": `The ${MAPS[channel]} channel before and after` });
    [[before, "before", 0, 1, 0], [after, "after (standard deviations)", -4, 4, 134]].forEach(([values, name, low, high, top]) => {
      const at = (v) => 78 + 240 * (Math.min(high, Math.max(low, v)) - low) / (high - low);
      svg.append(draw("text", { x: 78, y: top + 13 }, name));
      [low, (low + high) / 2, high].forEach((v) => svg.append(
        draw("line", { x1: at(v), x2: at(v), y1: top + 18, y2: top + 104, stroke: "var(--line)" }),
        draw("text", { x: at(v), y: top + 118, "text-anchor": "middle" }, String(v))));
      tints.forEach((tint, t) => {
        const y = top + 31 + 21 * t;
        svg.append(draw("text", { x: 72, y: y + 4, "text-anchor": "end" }, tint.name));
        values.forEach((image, n) => {
          if (!image || subsets[n] !== t) return;
          const look = n === marked ? { fill: "var(--accent)", stroke: "var(--accent)" }
            : { fill: "none", stroke: "var(--muted)" };
          image[channel].forEach((v) => {
            const off = Math.sign(v - Math.min(high, Math.max(low, v))); // an arrow where it leaves the scale
            svg.append(off ? draw("path", { d: `M${at(v) + 7 * off},${y}l${-6 * off},-5v10z`, ...look })
              : draw("circle", { cx: at(v), cy: y, r: n === marked ? 4.5 : 3, ...look }));
          });
        });
      });
    });
    return svg;
  }

  const MENU = { kept: "kept from the batch", alone: "its own", pooled: "pooled", mean: "mean of branches" };
  function menu(subsets) {
    if (kind === "batch") return ["kept", "alone"];
    if (kind === "split") return ["pooled", "mean", ...[...new Set(subsets)].sort().map((t) => "branch:" + t)];
    return ["alone"];
  }

  function update() {
    const subsets = batch.map((b) => b.tint);
    const x = batch.map((b) => channels(patterns[b.pattern], tints[b.tint]));
    const options = menu(subsets);
    if (!options.includes(how)) how = options[0];
    rows.add.querySelectorAll("button").forEach((b) => {
      b.disabled = b === out ? batch.length <= 2 : batch.length >= MOST;
    });
    choice(rows.batch, "Mark one", batch.map((b, n) => [n, chip(b)]), marked, (n) => { marked = n; });
    [...rows.batch.querySelectorAll("button")].forEach((b, n) => {
      b.className = "chip";
      b.setAttribute("aria-label", `image ${n + 1}, ${tints[subsets[n]].name}`);
    });
    choice(rows.kind, "Norm", Object.keys(SHARES).map((k) => [k, k]), kind, (k) => { kind = k; }, "tab");
    choice(rows.channel, "Channel", MAPS.map((name, c) => [c, name]), channel, (c) => { channel = c; });
    choice(rows.mode, "Mode", [[false, "training"], [true, "test: the marked image alone"]], test, (t) => { test = t; });
    rows.how.hidden = !test;
    const free = test && ["batch", "split"].includes(kind); // statistics may be chosen
    if (free) {
      choice(rows.how, "Statistics", options.map((o) => [o, MENU[o] || "branch " + tints[o.slice(7)].name]), how,
        (o) => { how = o; });
    } else {
      rows.how.replaceChildren(element("b", {}, "Statistics"), "its own, as in training: nothing to choose");
    }
    const trained = normalize(x, subsets, kind);
    const one = free ? testing(x[marked], x, subsets, how) : trained[marked];
    const after = test ? x.map((_, n) => n === marked && one) : trained;
    views.replaceChildren(block(x, subsets), strips(x, after, subsets));
    const mean = (map) => moments(map).mean;
    const count = x.reduce((sum, image, n) => sum + image.filter((_, c) =>
      SHARES[kind](n, c, subsets[n]) === SHARES[kind](marked, channel, subsets[marked])).length, 0) * 9;
    said.textContent = `Image ${marked + 1} (${tints[subsets[marked]].name}), ${MAPS[channel]}: mean ` +
      `${mean(x[marked][channel]).toFixed(2)} becomes ${signed(mean(one[channel]))}` +
      (test ? `; in training it was ${signed(mean(trained[marked][channel]))}.`
        : `. ${count} values share its mean and standard deviation.`) + together();
    function together() {
      const alike = subsets.flatMap((subset, n) => subset === subsets[marked] ? n : []);
      const average = (of) => signed(moments(alike.map((n) => mean(of(n)[channel]))).mean);
      if (alike.length < 2 || kind !== "split") return "";
      return ` The ${alike.length} ${tints[subsets[marked]].name} images average ${average((n) => trained[n])} in training`
        + (test ? `, and ${average((n) => testing(x[n], x, subsets, how))} here.` : ".");
    }
  }
  update();
  return forget;
}

export default { render };
