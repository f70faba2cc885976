// Registered cells in their places; two of them chosen, their paired difference. See board.py.

const CSS = `
:host { display: block; }
* { box-sizing: border-box; }
.board { container-type: inline-size; --fg: #1f2328; --muted: #57606a; --line: #d0d7de; --soft: #f4f6f8;
  --accent: #0a5fa8; --paper: #ffffff; color: var(--fg); font-size: 0.85rem; line-height: 1.35;
  border: 1px solid var(--line); border-radius: 8px; padding: 0.6rem; margin: 0.4rem 0; }
.board[data-theme="dark"] { --fg: #e6e6e6; --muted: #a9b1ba; --line: #48505a; --soft: #1c2128;
  --accent: #6cb6ff; --paper: #22272e; }
p { margin: 0 0 0.5rem; }
.note { color: var(--muted); font-size: 0.78rem; margin: 0.5rem 0 0; }
table { border-collapse: separate; border-spacing: 0.25rem; width: 100%; table-layout: fixed; }
th { font-weight: 600; text-align: left; vertical-align: bottom; padding: 0.1rem; }
tbody th { vertical-align: middle; }
td { vertical-align: middle; border: 1px dashed var(--line); border-radius: 6px; padding: 0; height: 2.6rem; }
td.full { border: 0; }
.tile { display: block; width: 100%; font: inherit; color: var(--fg); text-align: left; cursor: pointer;
  border: 1px solid var(--line); border-radius: 6px; padding: 0.2rem 0.4rem; position: relative;
  background: var(--paper); font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.tile + .tile { margin-top: 0.25rem; }
.tile b { display: flex; flex-wrap: wrap; gap: 0 0.4rem; padding-right: 1.1rem; }
i { font-style: normal; font-weight: 400; letter-spacing: 0.06em; white-space: nowrap; }
.tile small { display: block; font-size: 0.75rem; }
.tile .norm { display: none; }
.tile:hover { border-color: var(--accent); }
.tile[aria-pressed="true"] { outline: 2px solid var(--accent); outline-offset: -1px; }
.tile .badge { position: absolute; top: 0.1rem; right: 0.15rem; font-weight: 700; font-size: 0.75rem;
  background: var(--accent); color: var(--paper); border-radius: 4px; padding: 0 0.3rem; }
:is(.tile, .swap):focus-visible { outline: 3px solid var(--accent); outline-offset: 1px; }
.pair { background: var(--soft); border: 1px solid var(--line); border-radius: 6px;
  padding: 0.4rem 0.6rem; margin-top: 0.4rem; position: sticky; bottom: 0; }
.pair p { margin: 0 0 0.2rem; }
.swap { font: inherit; color: var(--fg); background: var(--paper); border: 1px solid var(--line);
  border-radius: 6px; min-height: 1.75rem; cursor: pointer; margin-left: 0.5rem; }
svg { display: block; width: 100%; height: auto; max-width: 34rem; }
svg text { fill: var(--muted); font: 11px system-ui, sans-serif; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%);
  white-space: nowrap; }
@container (max-width: 38rem) { /* a list by policy; the norm stands in each cell */
  table, tbody, tr { display: block; }
  thead { display: none; }
  tbody th { display: block; margin-top: 0.4rem; }
  td { display: contents; }
  tr > td:not(.full) { display: none; }
  .tile { display: inline-block; width: auto; margin: 0.15rem 0.25rem 0.1rem 0; vertical-align: top;
    max-width: 100%; }
  .tile + .tile { margin-top: 0.15rem; }
  .tile .norm { display: block; }
}
`;

const [BELOW, ABOVE] = [[213, 94, 0], [0, 114, 178]];

function signed(x, digits = 3) {
  const size = Math.abs(x).toFixed(digits);
  return Number(size) ? `${x < 0 ? "−" : "+"}${size}` : size;
}

// The difference left minus right, from whichever order was recorded.
function differenceOf(pairs, left, right) {
  const straight = pairs[`${left}|${right}`];
  if (straight) return straight;
  const other = pairs[`${right}|${left}`];
  if (!other || other.reason) return other;
  return { mean: -other.mean, low: -other.high, high: -other.low, seeds: other.seeds,
    deltas: other.deltas.map((delta) => -delta) };
}

// What two cells differ in, in words; one thing, or several that no difference tells apart.
function apart(a, b, { policies, norms }) {
  return [
    ["policy", policies[a.policy], policies[b.policy]],
    ["negatives", a.negatives, b.negatives],
    ["normalisation", norms[a.norm], norms[b.norm]],
    ["batches", a.batches, b.batches],
  ].filter(([, left, right]) => left !== right);
}

function svg(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// Seeds as dots, their mean with its interval below them, over an axis that holds zero.
function strip({ mean, low, high, deltas }) {
  const most = Math.max(...[low, high, ...deltas].map(Math.abs));
  const reach = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5].find((end) => end >= most) || 1;
  const [width, height, side] = [440, 74, 30];
  const x = (value) => width / 2 + (value / reach) * (width / 2 - side);
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img",
    "aria-label": `Seeds: ${deltas.map((delta) => signed(delta)).join(", ")}` });
  const line = (attributes) => picture.append(svg("line", { stroke: "currentColor", ...attributes }));
  line({ x1: side, x2: width - side, y1: 54, y2: 54, "stroke-width": 1, opacity: 0.4 });
  line({ x1: x(0), x2: x(0), y1: 6, y2: 58, "stroke-width": 1.2 });
  for (const value of [-reach, -reach / 2, 0, reach / 2, reach]) {
    line({ x1: x(value), x2: x(value), y1: 54, y2: 58, "stroke-width": 1, opacity: 0.6 });
    picture.append(svg("text", { x: x(value), y: 70, "text-anchor": "middle" },
      value ? signed(value, reach < 0.02 ? 3 : 2) : "0"));
  }
  const colour = `rgb(${mean < 0 ? BELOW : ABOVE})`;
  for (const delta of deltas) {
    picture.append(svg("circle", { cx: x(delta), cy: 18, r: 5, fill: colour, "fill-opacity": 0.65,
      stroke: "currentColor", "stroke-width": 0.6 }));
  }
  line({ x1: x(low), x2: x(high), y1: 38, y2: 38, "stroke-width": 3, stroke: colour });
  line({ x1: x(mean), x2: x(mean), y1: 30, y2: 46, "stroke-width": 3, stroke: colour });
  return picture;
}

function render({ model, el }) {
  const data = model.get("content");
  const tiles = new Map(data.tiles.map((tile) => [tile.name, tile]));
  const most = Math.max(0.01, ...data.tiles.map((tile) => Math.abs(tile.above || 0)));
  let chosen = data.start.slice();

  const root = element("div", { class: "board", role: "group", "aria-label": data.title });
  const pair = element("div", { class: "pair" });
  const status = element("div", { class: "unseen", role: "status", "aria-live": "polite" });
  const shadow = el.attachShadow({ mode: "open" });
  const buttons = new Map();

  function tileOf(tile) {
    const words = tile.n ? `${signed(tile.above)}, n = ${tile.n}` : tile.words;
    const badge = element("span", { class: "badge", "aria-hidden": "true" });
    const button = element("button", { type: "button", class: "tile", title: tile.about,
      click: () => choose(tile.name) },
    badge, element("b", {}, tile.name, element("i", { "aria-hidden": "true" }, tile.glyph)), element("small", { class: "norm" }, data.norms[tile.norm]),
    element("small", {}, `negatives: ${tile.negatives}`), element("small", {}, words));
    if (tile.above !== null) {
      const colour = tile.above < 0 ? BELOW : ABOVE;
      const share = 0.06 + 0.5 * Math.abs(tile.above) / most;
      button.style.backgroundColor = tile.above ? `rgba(${colour}, ${share.toFixed(3)})` : "";
    }
    buttons.set(tile.name, [button, badge]);
    return button;
  }

  function choose(name) {
    chosen = chosen.includes(name) ? chosen.filter((other) => other !== name)
      : [...chosen, name].slice(-2);
    refresh();
    status.textContent = pair.innerText;
  }

  function tell() {
    if (chosen.length < 2) {
      return [element("p", {}, chosen.length
        ? `${chosen[0]}: ${tiles.get(chosen[0]).about} Choose a second cell.`
        : "Choose two cells.")];
    }
    const [left, right] = chosen;
    const found = differenceOf(data.pairs, left, right);
    const factors = apart(tiles.get(left), tiles.get(right), data);
    const count = ["no factor", "one factor", "two factors", "three factors", "four factors"][factors.length];
    const swap = element("button", { type: "button", class: "swap",
      click: () => { chosen.reverse(); refresh(); } }, "Swap");
    const lines = [element("p", {}, element("strong", {}, `A − B: ${left} − ${right} `),
      element("i", { "aria-hidden": "true" }, `${tiles.get(left).glyph} − ${tiles.get(right).glyph}`), swap)];
    if (found.reason) lines.push(element("p", {}, `No difference yet: ${found.reason}.`));
    else {
      lines.push(element("p", {}, `Mean ${signed(found.mean)}, 95% interval ${signed(found.low)} to `
        + `${signed(found.high)}, n = ${found.seeds.length} paired seeds (dots).`),
      strip(found));
    }
    lines.push(element("p", {}, `They differ in ${count}${factors.length ? ": " : ". "}`
      + factors.map(([what, a, b]) => `${what} (${a}; ${b})`).join(", ")
      + (factors.length > 1 ? ", so this pair alone names no single cause."
        : factors.length ? "." : "")));
    const [how, other] = [tiles.get(left).evaluation, tiles.get(right).evaluation];
    if (how !== other && how && other) {
      lines.push(element("p", {}, `Evaluation statistics: ${how}; ${other}.`));
    }
    const asked = [...(data.asked[`${left}|${right}`] || []), ...(data.asked[`${right}|${left}`] || [])];
    if (asked.length) lines.push(element("p", {}, `Registered: ${asked.join("; ")}.`));
    return lines;
  }

  function refresh() {
    for (const [name, [button, badge]] of buttons) {
      const place = chosen.indexOf(name);
      button.setAttribute("aria-pressed", place >= 0);
      badge.textContent = chosen.length === 2 ? ["A", "B"][place] || "" : place === 0 ? "A" : "";
      badge.hidden = !badge.textContent;
    }
    pair.replaceChildren(...tell());
  }

  const head = element("tr", {}, element("th", { scope: "col" }, "policy"),
    ...Object.values(data.norms).map((words) => element("th", { scope: "col" }, words)));
  const rows = Object.entries(data.policies).map(([policy, words]) => element("tr", {},
    element("th", { scope: "row" }, words),
    ...Object.keys(data.norms).map((norm) => {
      const here = data.tiles.filter((tile) => tile.policy === policy && tile.norm === norm);
      return element("td", { class: here.length ? "full" : null }, ...here.map(tileOf));
    })));
  root.append(
    element("p", {}, `Each cell: ${data.metric} minus that of ${data.baseline}, mean over seeds. `
      + "Orange lies below it, blue above; dashed squares were not registered. Choose two cells."),
    element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows)), pair,
    element("p", { class: "note" }, `${data.setting}. Pairs share a seed; nothing corrects these `
      + `intervals for their number. Here and in the figures, ${data.glyphs}.`), status);
  shadow.append(element("style", {}, CSS), root);
  const forget = followTheme(el, (theme) => { root.dataset.theme = theme; });
  refresh();
  return forget;
}

export default { render };
