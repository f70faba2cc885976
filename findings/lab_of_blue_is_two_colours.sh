#!/usr/bin/env bash
# The Lab values of blue are 12 apart between two groups of JavaScript libraries.
# Versions: d3-color 3.1.1, culori 4.0.2, colorjs.io 0.7.1, chroma-js 3.2.0, color-convert 3.1.3,
# run by node.
# Expected (a first guess): Lab of #0000ff is one triple, (32.3, 79.2, -107.9), as in scikit-image,
# up to rounding.
# Seen: chroma-js and color-convert say so. In d3-color, culori's "lab" and colorjs.io's "lab" it is
# (29.6, 68.3, -112.0), since they first move the white from D65 to D50, as CSS does. Greys agree,
# so a test with white and black shows nothing. The distance of red and blue is 176 in one and 184
# in the other; a Lab value that is stored by one and drawn by the other changes the colour. culori
# has "lab65" and colorjs.io "lab-d65" for the first one.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund d3-color@3.1.1 culori@4.0.2 colorjs.io@0.7.1 \
  chroma-js@3.2.0 color-convert@3.1.3
cat >run.mjs <<'JAVASCRIPT'
import chroma from "chroma-js";
import convert from "color-convert";
import Color from "colorjs.io";
import { converter } from "culori";
import { lab } from "d3-color";

const pick = (o) => [o.l, o.a, o.b];
const ways = {
  "d3-color": (hex) => pick(lab(hex)),
  culori: (hex) => pick(converter("lab")(hex)),
  "colorjs.io": (hex) => [...new Color(hex).to("lab").coords],
  "chroma-js": (hex) => chroma(hex).lab(),
  "color-convert": (hex) => convert.rgb.lab.raw(convert.hex.rgb(hex.slice(1))),
  "culori lab65": (hex) => pick(converter("lab65")(hex)),
};
const apart = (p, q) => Math.hypot(...p.map((x, i) => x - q[i]));

// The formula, from sRGB by XYZ for D65, with the white of D65.
function oracle(hex) {
  const [r, g, b] = [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  const f = (t) => (t > (6 / 29) ** 3 ? Math.cbrt(t) : t / (3 * (6 / 29) ** 2) + 4 / 29);
  const x = f((0.4124564 * r + 0.3575761 * g + 0.1804375 * b) / 0.95047);
  const y = f(0.2126729 * r + 0.7151522 * g + 0.072175 * b);
  const z = f((0.0193339 * r + 0.119192 * g + 0.9503041 * b) / 1.08883);
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}

const off = {};
for (const [name, f] of Object.entries(ways)) {
  off[name] = apart(f("#0000ff"), oracle("#0000ff"));
  console.log(`${name}: ${f("#0000ff").map((x) => x.toFixed(1)).join(", ")}; ` +
    `red to blue ${apart(f("#ff0000"), f("#0000ff")).toFixed(1)}; ` +
    `grey off by ${apart(f("#888888"), oracle("#888888")).toFixed(2)}`);
}
const names = Object.keys(ways);
const ok = names.slice(0, 3).every((n) => off[n] > 11 && off[n] < 13) &&
  names.slice(3).every((n) => off[n] < 0.1) &&
  names.every((n) => apart(ways[n]("#888888"), oracle("#888888")) < 0.1);
process.exit(ok ? 0 : 1);
JAVASCRIPT
node run.mjs
