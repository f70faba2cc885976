#!/usr/bin/env bash
# sharp blurs after it resizes, and inverts before it thresholds, in whatever order it is told.
# Versions: sharp 0.35.5, run by node.
# Expected (a first guess): a chain of calls does its steps in the order in which they are written:
# blur(3).resize(8, 8) blurs the large image, resize(8, 8).blur(3) the small one.
# Seen: both give the same bytes: the order is sharp's own. So do negate().threshold() and
# threshold().negate(). The steps done one at a time, with an image in between, differ from the
# chain by more than ten levels. An augmentation that is rewritten from Pillow is another one.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund sharp@0.35.5
cat >run.cjs <<'JAVASCRIPT'
const sharp = require("sharp");

let state = 1;
const random = () => (state = (state * 1103515245 + 12345) % 2147483648) / 2147483648;
const bytes = Buffer.from(Array.from({ length: 64 * 64 }, () => Math.floor(256 * random())));
const open = (data, side) => sharp(data, { raw: { width: side, height: side, channels: 1 } })
  .toColourspace("b-w");
const done = (image) => image.raw().toBuffer();
(async () => {
  const first = await done(open(bytes, 64).blur(3).resize(8, 8));
  const second = await done(open(bytes, 64).resize(8, 8).blur(3));
  const blurred = await done(open(bytes, 64).blur(3));
  const steps = await done(open(blurred, 64).resize(8, 8));
  const off = Math.max(...first.map((value, i) => Math.abs(value - steps[i])));
  const inverted = await done(open(bytes, 64).negate().threshold(100));
  const later = await done(open(bytes, 64).threshold(100).negate());
  console.log(`blur and resize either way: equal ${first.equals(second)}; step by step off by ` +
    `${off}; negate and threshold either way: equal ${inverted.equals(later)}`);
  const good = first.length === steps.length && first.equals(second) && off > 10;
  if (!(good && inverted.equals(later))) process.exit(1);
})();
JAVASCRIPT
node run.cjs
