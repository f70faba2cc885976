// An exercise's field: the reader types a number or chooses, and the judge of exercises.py answers.

function verdict(number, shown, expected, tol, mistakes) {
  if (Math.abs(number - expected) <= tol || number === expected) return "correct";
  if (Number.isNaN(number)) return "not yet: the number is nan";
  for (const [wrong, hint] of mistakes) {
    if (Math.abs(number - wrong) <= tol || number === wrong) return "not yet: " + hint;
  }
  if (isRounded(number, expected)) {
    return `not yet: ${shown} may be rounded too far: give more decimals`;
  }
  return `not yet: ${shown} is too ${number < expected ? "small" : "large"}`;
}

function isRounded(number, expected) {
  const off = Math.abs(number - expected);
  if (!(off <= 0.01 * Math.abs(expected))) return false;
  for (let decimals = 0; decimals < 7; decimals += 1) {
    const scale = 10 ** decimals;
    const next = Math.floor(number * scale + 0.5);
    if (off <= 0.5 / scale && Math.abs(number * scale - next) < 1e-9) return true;
  }
  return false;
}

// A number, or a line that says how to write one.
function readNumber(text) {
  const typed = text.trim().replace(/[\u2212\u2013]/g, "-");
  const shown = typed.length > 24 ? typed.slice(0, 23) + "\u2026" : typed;
  const says = (line) => ({ line: "not yet: " + line });
  if (!typed) return says("type a number first");
  const special = /^([+-]?)(?:(\u221e|inf|infinity)|nan)$/i.exec(typed);
  if (special) return { number: special[2] ? Number(special[1] + "Infinity") : NaN, shown };
  if (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(typed)) {
    const number = Number(typed);
    if (Number.isFinite(number)) return { number, shown };
    return says(`${shown} is larger than any number that a computer holds`);
  }
  if (/^[+-]?\d*,\d/.test(typed)) {
    return says("write a point before the decimals, as in 1.5, and nothing between thousands");
  }
  const part = String.raw`(\d+\.?\d*|\.\d+)`;
  if (new RegExp(`^[+-]?${part}\\s*/\\s*[+-]?${part}$`).test(typed)) {
    return says(`${shown} is a fraction: type it as a decimal number`);
  }
  if (/^[+-]?[\d.]+\s*%$/.test(typed)) return says("write 5% as 0.05");
  return says(`a number is asked for, such as 0.25, got ${shown}`);
}

function judgeText(text, [expected, tol, mistakes]) {
  const read = readNumber(text);
  if (read.line) return read.line;
  const wrong = mistakes.map(([value, hint]) => [unsealed(value), hint]);
  return verdict(read.number, read.shown, unsealed(expected), tol, wrong);
}

function judgeKey(key, [expected, choices]) {
  if (key === expected) return "correct";
  const chosen = choices.find(([each]) => each === key);
  if (!chosen) return "not yet: choose one first";
  return "not yet: " + (chosen[2] || `${key} is not it`);
}

// JSON has no infinity.
function unsealed(value) {
  return typeof value === "number" ? value : Number(value.replace("inf", "Infinity"));
}

const LOOKS = `
form { margin: .25rem 0; padding: .6rem .75rem; border-radius: .4rem;
  border: 1px solid color-mix(in srgb, currentColor 35%, transparent); }
form > * { margin-right: .6rem; }
fieldset { border: 0; margin: 0 0 .4rem; padding: 0; min-width: 0; }
legend { padding: 0; font-weight: 600; }
fieldset label { display: flex; gap: .5rem; align-items: baseline; padding: .25rem 0; }
.ct-name { font-weight: 600; }
input[type=text], button { font: inherit; color: inherit; background: transparent;
  border: 1px solid currentColor; border-radius: .3rem; padding: .3rem .6rem; min-height: 2.2rem;
  box-sizing: border-box; }
input[type=text] { width: 9rem; max-width: 100%; }
button { cursor: pointer; }
:is(input, button):focus-visible { outline: 3px solid #4a90d9; outline-offset: 2px; }
output { display: block; margin: .4rem 0 0; overflow-wrap: anywhere; }
`;

function render({ model, el }) {
  const name = model.get("name");
  const { kind, judge } = JSON.parse(atob(model.get("sealed")));
  const id = "ct-" + Math.random().toString(36).slice(2);
  const make = (tag, attributes, ...inside) => {
    const node = document.createElement(tag);
    Object.entries(attributes).forEach(([key, value]) => node.setAttribute(key, value));
    node.append(...inside);
    return node;
  };
  const form = make("form", { novalidate: "" });
  if (kind === "number") {
    form.append(
      make("label", { for: id, class: "ct-name" }, name),
      make("input", { id, type: "text", name: "value", autocomplete: "off",
        autocapitalize: "off", spellcheck: "false", enterkeyhint: "done" }));
  } else {
    form.append(make("fieldset", {}, make("legend", {}, name),
      ...judge[1].map(([key, words]) => make("label", {},
        make("input", { type: "radio", name: "value", value: key }), make("span", {}, words)))));
  }
  const said = make("output", { role: "status" });
  form.append(make("button", { type: "submit" }, "Check"), said);
  let misses = 0;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const value = kind === "number" ? form.elements[0].value
      : (form.querySelector("input:checked") || {}).value;
    let line = (kind === "number" ? judgeText : judgeKey)(value, judge);
    const right = line === "correct";
    misses += right ? 0 : 1;
    if (misses > 2 && !right) line += ". The solution is folded away below.";
    said.textContent = `${right ? "\u2713" : "\u2717"} ${name}: ${line}`;
  });
  const root = el.attachShadow ? el.attachShadow({ mode: "open" }) : el;
  root.append(make("style", {}, LOOKS), form);
}
export default { render };
