// The arithmetic of the lab. Every function works on addresses in one memory that model.js lays
// out. Activations are float32, rows (image, y, x) by channels; the input of a convolution has its
// padding around it, so that a row of a patch is a run of floats and nobody copies patches.
// Weights of a layer with K inputs lie in panels of 8 outputs: [outputs / 8][K][8].

type P = usize;
type V = v128;

// @ts-ignore: decorator
@inline function at(p: P): V { return v128.load(p); }
// @ts-ignore: decorator
@inline function put(p: P, x: V): void { v128.store(p, x); }
// @ts-ignore: decorator
@inline function all(p: P): V { return v128.load_splat<f32>(p); }
// @ts-ignore: decorator
@inline function v(x: f32): V { return f32x4.splat(x); }
// @ts-ignore: decorator
@inline function add(a: V, b: V): V { return f32x4.add(a, b); }
// @ts-ignore: decorator
@inline function sub(a: V, b: V): V { return f32x4.sub(a, b); }
// @ts-ignore: decorator
@inline function mul(a: V, b: V): V { return f32x4.mul(a, b); }
// @ts-ignore: decorator
@inline function mac(c: V, a: V, b: V): V { return f32x4.add(c, f32x4.mul(a, b)); }
// @ts-ignore: decorator
@inline function total(x: V): f32 {
  return (f32x4.extract_lane(x, 0) + f32x4.extract_lane(x, 1))
    + (f32x4.extract_lane(x, 2) + f32x4.extract_lane(x, 3));
}
// @ts-ignore: decorator
@inline function f(p: P): f32 { return load<f32>(p); }
// @ts-ignore: decorator
@inline function d(p: P): f64 { return load<f64>(p); }

export function heap(): P { return __heap_base; }

// Layers -----------------------------------------------------------------------------------------
// A layer is a convolution seen in groups of 4 output positions: `offsets` (u32, `groups` of them)
// are where the patches of each group's first position begin, `step` bytes apart. A patch has
// `rows` runs of `run` floats, `row` bytes apart. A linear layer has one run.

export function forward(
  x: P, y: P, w: P, bias: P, offsets: P, groups: u32, step: P, rows: u32, run: u32, row: P,
  outputs: u32,
): void {
  const wide: P = outputs << 2;
  for (let p: u32 = 0; p < outputs; p += 8) {
    for (let g: u32 = 0; g < groups; g++) {
      let a = x + load<u32>(offsets + (g << 2));
      let q = w + p * rows * run * 4;
      let c00 = at(bias + (p << 2)), c01 = at(bias + (p << 2) + 16);
      let c10 = c00, c11 = c01, c20 = c00, c21 = c01, c30 = c00, c31 = c01;
      for (let r: u32 = 0; r < rows; r++) {
        let a0 = a, a1 = a + step, a2 = a1 + step, a3 = a2 + step;
        const end = a + (run << 2);
        while (a0 < end) {
          const b0 = at(q), b1 = v128.load(q, 16);
          let t = all(a0);
          c00 = mac(c00, t, b0); c01 = mac(c01, t, b1);
          t = all(a1);
          c10 = mac(c10, t, b0); c11 = mac(c11, t, b1);
          t = all(a2);
          c20 = mac(c20, t, b0); c21 = mac(c21, t, b1);
          t = all(a3);
          c30 = mac(c30, t, b0); c31 = mac(c31, t, b1);
          a0 += 4; a1 += 4; a2 += 4; a3 += 4; q += 32;
        }
        a += row;
      }
      let o = y + g * wide * 4 + (p << 2);
      put(o, c00); v128.store(o, c01, 16); o += wide;
      put(o, c10); v128.store(o, c11, 16); o += wide;
      put(o, c20); v128.store(o, c21, 16); o += wide;
      put(o, c30); v128.store(o, c31, 16);
    }
  }
}

/** Gradient of the input, added to `dx`. `wt` are the weights in panels of 8 inputs. */
export function backward(
  dx: P, dy: P, wt: P, offsets: P, groups: u32, step: P, rows: u32, run: u32, row: P, outputs: u32,
): void {
  const wide: P = outputs << 2;
  for (let r: u32 = 0; r < rows; r++) {
    for (let k: u32 = 0; k < run; k += 8) {
      for (let g: u32 = 0; g < groups; g++) {
        let q = wt + (r * run + k) * wide;
        let a0 = dy + g * wide * 4, a1 = a0 + wide, a2 = a1 + wide, a3 = a2 + wide;
        let c00 = v(0), c01 = c00, c10 = c00, c11 = c00;
        let c20 = c00, c21 = c00, c30 = c00, c31 = c00;
        const end = a1;
        while (a0 < end) {
          const b0 = at(q), b1 = v128.load(q, 16);
          let t = all(a0);
          c00 = mac(c00, t, b0); c01 = mac(c01, t, b1);
          t = all(a1);
          c10 = mac(c10, t, b0); c11 = mac(c11, t, b1);
          t = all(a2);
          c20 = mac(c20, t, b0); c21 = mac(c21, t, b1);
          t = all(a3);
          c30 = mac(c30, t, b0); c31 = mac(c31, t, b1);
          a0 += 4; a1 += 4; a2 += 4; a3 += 4; q += 32;
        }
        let o = dx + load<u32>(offsets + (g << 2)) + r * row + (k << 2);
        put(o, add(at(o), c00)); v128.store(o, add(v128.load(o, 16), c01), 16); o += step;
        put(o, add(at(o), c10)); v128.store(o, add(v128.load(o, 16), c11), 16); o += step;
        put(o, add(at(o), c20)); v128.store(o, add(v128.load(o, 16), c21), 16); o += step;
        put(o, add(at(o), c30)); v128.store(o, add(v128.load(o, 16), c31), 16);
      }
    }
  }
}

/** Gradient of the weights of one block of positions, added to `dw`; `packed` has room for dy. */
export function slopes(
  dw: P, x: P, dy: P, packed: P, offsets: P, groups: u32, step: P, rows: u32, run: u32, row: P,
  outputs: u32,
): void {
  const wide: P = outputs << 2, panel: P = groups << 7;
  for (let i: u32 = 0; i < groups << 2; i++) {
    for (let p: u32 = 0; p < outputs; p += 8) {
      const from = dy + i * wide + (p << 2), to = packed + (p >> 3) * panel + (i << 5);
      put(to, at(from)); v128.store(to, v128.load(from, 16), 16);
    }
  }
  for (let r: u32 = 0; r < rows; r++) {
    for (let k: u32 = 0; k < run; k += 4) {
      const corner = x + r * row + (k << 2);
      for (let p: u32 = 0; p < outputs; p += 8) {
        let q = packed + (p >> 3) * panel;
        let c00 = v(0), c01 = c00, c10 = c00, c11 = c00;
        let c20 = c00, c21 = c00, c30 = c00, c31 = c00;
        for (let o = offsets, end = offsets + (groups << 2); o < end; o += 4) {
          let a = corner + load<u32>(o);
          for (const last = q + 128; q < last; q += 32) {
            const b0 = at(q), b1 = v128.load(q, 16);
            let t = all(a);
            c00 = mac(c00, t, b0); c01 = mac(c01, t, b1);
            t = v128.load_splat<f32>(a, 4);
            c10 = mac(c10, t, b0); c11 = mac(c11, t, b1);
            t = v128.load_splat<f32>(a, 8);
            c20 = mac(c20, t, b0); c21 = mac(c21, t, b1);
            t = v128.load_splat<f32>(a, 12);
            c30 = mac(c30, t, b0); c31 = mac(c31, t, b1);
            a += step;
          }
        }
        const left = run - k;
        let o = dw + p * rows * run * 4 + ((r * run + k) << 5);
        put(o, add(at(o), c00)); v128.store(o, add(v128.load(o, 16), c01), 16);
        if (left > 1) {
          o += 32;
          put(o, add(at(o), c10)); v128.store(o, add(v128.load(o, 16), c11), 16);
        }
        if (left > 2) {
          o += 32;
          put(o, add(at(o), c20)); v128.store(o, add(v128.load(o, 16), c21), 16);
        }
        if (left > 3) {
          o += 32;
          put(o, add(at(o), c30)); v128.store(o, add(v128.load(o, 16), c31), 16);
        }
      }
    }
  }
}

/** Weights in panels of 8 outputs as panels of 8 inputs. */
export function transpose(w: P, wt: P, inputs: u32, outputs: u32): void {
  for (let o: u32 = 0; o < outputs; o++) {
    for (let k: u32 = 0; k < inputs; k++) {
      const from = w + (((o >> 3) * inputs + k) * 8 + (o & 7)) * 4;
      store<f32>(wt + (((k >> 3) * outputs + o) * 8 + (k & 7)) * 4, f(from));
    }
  }
}

/** Column sums of (count, width), added to `out`. */
export function columns(x: P, out: P, count: u32, width: u32): void {
  for (let c: P = 0; c < width << 2; c += 16) {
    let sum = at(out + c);
    for (let i: u32 = 0; i < count; i++) sum = add(sum, at(x + i * (width << 2) + c));
    put(out + c, sum);
  }
}

// ReLU of a hidden linear layer, in place; and its gradient, by what came out of it.
export function relu(x: P, count: u32): void {
  for (const end = x + (count << 2); x < end; x += 16) put(x, f32x4.max(at(x), v(0)));
}
export function reluBackward(dx: P, y: P, count: u32): void {
  for (const end = y + (count << 2); y < end; y += 16, dx += 16) {
    put(dx, v128.and(at(dx), f32x4.gt(at(y), v(0))));
  }
}

// Norms ------------------------------------------------------------------------------------------

/** Mean and biased variance of each channel over the positions of one image. Sums run over blocks
 * of 16: a float32 that grows by one value after the other loses what comes last. */
export function moments(y: P, mean: P, variance: P, positions: u32, channels: u32): void {
  const wide: P = channels << 2, all_ = v(1 / <f32>positions), end = y + positions * wide;
  for (let c: P = 0; c < wide; c += 16) {
    let sum = v(0);
    for (let p = y + c; p < end;) {
      let part = v(0);
      for (const stop = min(p + 16 * wide, end + c); p < stop; p += wide) part = add(part, at(p));
      sum = add(sum, part);
    }
    const m = mul(sum, all_);
    sum = v(0);
    for (let p = y + c; p < end;) {
      let part = v(0);
      for (const stop = min(p + 16 * wide, end + c); p < stop; p += wide) {
        const x = sub(at(p), m);
        part = mac(part, x, x);
      }
      sum = add(sum, part);
    }
    put(mean + c, m);
    put(variance + c, mul(sum, all_));
  }
}

/** Moments of groups of images from those of the images (law of total variance), in float64.
 * `group` (u32) is the group of each image, `size` images in each. */
export function pool(
  mean: P, variance: P, group: P, images: u32, channels: u32, groups: u32, size: f64,
  outMean: P, outVariance: P, sums: P,
): void {
  for (let c: u32 = 0; c < channels; c++) {
    memory.fill(sums, 0, groups << 4);
    for (let i: u32 = 0; i < images; i++) {
      const s = sums + (load<u32>(group + (i << 2)) << 4);
      store<f64>(s, d(s) + f(mean + ((i * channels + c) << 2)));
    }
    for (let i: u32 = 0; i < images; i++) {
      const s = sums + (load<u32>(group + (i << 2)) << 4), o = (i * channels + c) << 2;
      const away = <f64>f(mean + o) - d(s) / size;
      store<f64>(s + 8, d(s + 8) + f(variance + o) + away * away);
    }
    for (let g: u32 = 0; g < groups; g++) {
      const o = (g * channels + c) << 2, s = sums + (g << 4);
      store<f32>(outMean + o, <f32>(d(s) / size));
      store<f32>(outVariance + o, <f32>(d(s + 8) / size));
    }
  }
}

/** Sums over the images of each group, in float64. */
export function poolSums(
  x: P, group: P, images: u32, channels: u32, groups: u32, out: P, sums: P,
): void {
  for (let c: u32 = 0; c < channels; c++) {
    memory.fill(sums, 0, groups << 4);
    for (let i: u32 = 0; i < images; i++) {
      const s = sums + (load<u32>(group + (i << 2)) << 4);
      store<f64>(s, d(s) + f(x + ((i * channels + c) << 2)));
    }
    for (let g: u32 = 0; g < groups; g++) {
      store<f32>(out + ((g * channels + c) << 2), <f32>d(sums + (g << 4)));
    }
  }
}

// y = max(0, (x - mean) * scale + shift), with tables (groups, channels), and its uses. An image
// has `lines` of `across` positions; in `out` the lines are `line` bytes apart.

export function normRelu(
  x: P, mean: P, scale: P, shift: P, out: P, lines: u32, across: u32, line: P, channels: u32,
): void {
  const wide: P = channels << 2;
  for (let c: P = 0; c < wide; c += 16) {
    const m = at(mean + c), a = at(scale + c), b = at(shift + c);
    for (let i: u32 = 0; i < lines; i++) {
      let p = x + i * across * wide + c, o = out + i * line + c;
      for (const end = p + across * wide; p < end; p += wide, o += wide) {
        put(o, f32x4.max(mac(b, sub(at(p), m), a), v(0)));
      }
    }
  }
}

/** The same, and then the mean over positions. */
export function normReluMean(
  x: P, mean: P, scale: P, shift: P, out: P, positions: u32, channels: u32,
): void {
  const wide: P = channels << 2;
  for (let c: P = 0; c < wide; c += 16) {
    const m = at(mean + c), a = at(scale + c), b = at(shift + c);
    let sum = v(0), p = x + c;
    for (const end = p + positions * wide; p < end; p += wide) {
      sum = add(sum, f32x4.max(mac(b, sub(at(p), m), a), v(0)));
    }
    put(out + c, mul(sum, v(1 / <f32>positions)));
  }
}

/** Sums of g and of g * (x - mean) over positions, for g = `factor` * dout where the output is
 * positive. `move` bytes of dout from one position to the next: 0 for one value for all of them. */
export function normSums(
  x: P, mean: P, scale: P, shift: P, dout: P, lines: u32, across: u32, line: P, move: P,
  factor: f32, channels: u32, sum: P, sumX: P,
): void {
  const wide: P = channels << 2, k = v(factor);
  for (let c: P = 0; c < wide; c += 16) {
    const m = at(mean + c), a = at(scale + c), b = at(shift + c);
    let s = v(0), t = s;
    for (let i: u32 = 0; i < lines; i++) {
      let p = x + i * across * wide + c, o = dout + i * line + c;
      let s1 = v(0), t1 = s1;
      for (const end = p + across * wide; p < end; p += wide, o += move) {
        const z = sub(at(p), m);
        const g = v128.and(at(o), f32x4.gt(mac(b, z, a), v(0)));
        s1 = add(s1, g); t1 = mac(t1, g, z);
      }
      s = add(s, s1); t = add(t, t1);
    }
    put(sum + c, mul(s, k)); put(sumX + c, mul(t, k));
  }
}

/** Gradient of x, in its place: gain * (g - first - (x - mean) * second). */
export function normBackward(
  x: P, mean: P, scale: P, shift: P, gain: P, first: P, second: P, dout: P, lines: u32, across: u32,
  line: P, move: P, factor: f32, channels: u32,
): void {
  const wide: P = channels << 2, k = v(factor);
  for (let c: P = 0; c < wide; c += 16) {
    const m = at(mean + c), a = at(scale + c), b = at(shift + c);
    const n = at(gain + c), c1 = at(first + c), c2 = at(second + c);
    for (let i: u32 = 0; i < lines; i++) {
      let p = x + i * across * wide + c, o = dout + i * line + c;
      for (const end = p + across * wide; p < end; p += wide, o += move) {
        const z = sub(at(p), m);
        const g = mul(k, v128.and(at(o), f32x4.gt(mac(b, z, a), v(0))));
        put(p, mul(n, sub(sub(g, c1), mul(z, c2))));
      }
    }
  }
}

// Loss -------------------------------------------------------------------------------------------

/** exp, to about 1e-7 of the value, for x <= 0. */
function exp(x: V): V {
  x = f32x4.max(x, v(-87));
  const n = f32x4.nearest(mul(x, v(1.4426950408889634)));
  const r = sub(sub(x, mul(n, v(0.693359375))), mul(n, v(-2.12194440e-4)));
  let p = v(1.9875691500e-4);
  p = mac(v(1.3981999507e-3), p, r);
  p = mac(v(8.3334519073e-3), p, r);
  p = mac(v(4.1665795894e-2), p, r);
  p = mac(v(1.6666665459e-1), p, r);
  p = mac(v(5.0000001201e-1), p, r);
  p = add(mac(r, mul(p, r), r), v(1));
  return mul(p, i32x4.shl(i32x4.add(i32x4.trunc_sat_f32x4_s(n), i32x4.splat(127)), 23));
}

/** Unit vectors u of z (count, width); `size`: what z was divided by. */
export function unit(z: P, u: P, size: P, count: u32, width: u32): void {
  for (let i: u32 = 0; i < count; i++) {
    let top = v(1), end = z + (width << 2);
    for (let p = z; p < end; p += 16) top = f32x4.max(top, f32x4.abs(at(p)));
    const largest = max(
      max(f32x4.extract_lane(top, 0), f32x4.extract_lane(top, 1)),
      max(f32x4.extract_lane(top, 2), f32x4.extract_lane(top, 3)),
    );
    let sum = v(0);
    for (let p = z; p < end; p += 16) {
      const x = f32x4.div(at(p), v(largest));
      sum = mac(sum, x, x);
    }
    const length = max(sqrt(total(sum)), <f32>1e-12) * largest;
    store<f32>(size + (i << 2), length);
    for (; z < end; z += 16, u += 16) put(u, f32x4.div(at(z), v(length)));
  }
}

/** Gradient of z from that of u, in its place. */
export function unitBackward(du: P, u: P, size: P, count: u32, width: u32): void {
  for (let i: u32 = 0; i < count; i++) {
    let sum = v(0);
    const end = width << 2;
    for (let p: P = 0; p < end; p += 16) sum = mac(sum, at(du + p), at(u + p));
    const along = v(total(sum)), length = v(f(size + (i << 2)));
    for (let p: P = 0; p < end; p += 16) {
      put(du + p, f32x4.div(sub(at(du + p), mul(along, at(u + p))), length));
    }
    du += end; u += end;
  }
}

/** NT-Xent of one group of 2n rows u (first views, then second ones).
 *
 * `table` has room for 2n rows of `pitch` bytes (a multiple of 16). For row i, `out` gets the sum
 * of exp(logit - largest), largest - logit of the positive, the cosine with the positive, and the
 * sum of cosines with the negatives. `du` gets the gradient, times `weight`. */
export function contrast(
  u: P, du: P, table: P, pitch: P, n: u32, width: u32, temperature: f32, weight: f32, out: P,
): void {
  const count: u32 = 2 * n, wide: P = width << 2;
  for (let i: u32 = 0; i < count; i++) {
    for (let j: u32 = 0; j < i; j++) {
      let sum = v(0);
      for (let p: P = 0; p < wide; p += 16) sum = mac(sum, at(u + i * wide + p), at(u + j * wide + p));
      const s = total(sum);
      store<f32>(table + i * pitch + (j << 2), s);
      store<f32>(table + j * pitch + (i << 2), s);
    }
  }
  for (let i: u32 = 0; i < count; i++, out += 16) {
    const line = table + i * pitch, own = line + (i << 2);
    const positive = line + ((i < n ? i + n : i - n) << 2);
    const s = f(positive);
    store<f32>(own, 0);
    let cosines: f32 = -s;
    for (let p = line; p < line + (count << 2); p += 4) cosines += f(p);
    // Neither the anchor itself nor padding is a candidate.
    store<f32>(own, -1e30);
    for (let p = line + (count << 2); p < line + pitch; p += 4) store<f32>(p, -1e30);
    let high = v(-1e30);
    for (let p = line; p < line + pitch; p += 16) high = f32x4.max(high, at(p));
    const most = max(
      max(f32x4.extract_lane(high, 0), f32x4.extract_lane(high, 1)),
      max(f32x4.extract_lane(high, 2), f32x4.extract_lane(high, 3)),
    );
    let sum = v(0);
    const t = v(1 / temperature);
    for (let p = line; p < line + pitch; p += 16) {
      const e = v128.and(exp(mul(sub(at(p), v(most)), t)), f32x4.gt(at(p), v(-1e20)));
      sum = add(sum, e);
      put(p, e);
    }
    const all_ = total(sum), share = v(weight / all_);
    for (let p = line; p < line + pitch; p += 16) put(p, mul(at(p), share));
    store<f32>(positive, f(positive) - weight);
    store<f32>(out, all_);
    store<f32>(out + 4, (most - s) / temperature);
    store<f32>(out + 8, s);
    store<f32>(out + 12, cosines);
  }
  for (let i: u32 = 0; i < count; i++) {
    for (let p: P = 0; p < wide; p += 32) {
      let s0 = v(0), s1 = s0;
      for (let j: u32 = 0; j < count; j++) {
        const g = v(
          (f(table + i * pitch + (j << 2)) + f(table + j * pitch + (i << 2))) / temperature,
        );
        const o = u + j * wide + p;
        s0 = mac(s0, g, at(o)); s1 = mac(s1, g, v128.load(o, 16));
      }
      put(du + i * wide + p, s0); v128.store(du + i * wide + p, s1, 16);
    }
  }
}

/** Adam (Kingma and Ba 2015) as torch has it; `c1`, `c2` are 1 - beta^t. Returns the largest
 * absolute weight, NaN if one is not a number. */
export function adam(w: P, g: P, m: P, s: P, count: u32, lr: f32, c1: f32, c2: f32): f32 {
  let top = v(0);
  const rate = v(lr / c1), root = v(sqrt(c2));
  for (let p: P = 0; p < count << 2; p += 16) {
    const x = at(g + p);
    const a = mac(at(m + p), sub(x, at(m + p)), v(0.1));
    const b = mac(mul(at(s + p), v(0.999)), mul(x, x), v(0.001));
    put(m + p, a); put(s + p, b);
    const y = sub(
      at(w + p), f32x4.div(mul(rate, a), add(f32x4.div(f32x4.sqrt(b), root), v(1e-8))),
    );
    put(w + p, y);
    top = f32x4.max(top, f32x4.abs(y));
  }
  let most: f32 = f32x4.extract_lane(top, 0);
  most = max(most, f32x4.extract_lane(top, 1));
  most = max(most, f32x4.extract_lane(top, 2));
  return max(most, f32x4.extract_lane(top, 3));
}

// Images -----------------------------------------------------------------------------------------

// MT19937 (Matsumoto and Nishimura 1998), as numpy's RandomState seeds it.
function seed(state: P, value: u32): void {
  for (let i: u32 = 0; i < 624; i++) {
    store<u32>(state + (i << 2), value);
    value = 1812433253 * (value ^ (value >> 30)) + i + 1;
  }
  store<u32>(state + 2496, 624);
}

/** `count` random 32-bit numbers. */
function random(state: P, out: P, count: u32): void {
  let i = load<u32>(state + 2496);
  for (const end = out + (count << 2); out < end; out += 4) {
    if (i == 624) {
      for (let j: u32 = 0; j < 624; j++) {
        const o = state + (j << 2), next = state + ((j == 623 ? 0 : j + 1) << 2);
        const y = (load<u32>(o) & 0x80000000) | (load<u32>(next) & 0x7fffffff);
        const far = load<u32>(state + ((j < 227 ? j + 397 : j - 227) << 2));
        store<u32>(o, far ^ (y >> 1) ^ (y & 1 ? 0x9908b0df : 0));
      }
      i = 0;
    }
    let y = load<u32>(state + (i++ << 2));
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    store<u32>(out, y ^ (y >> 18));
  }
  store<u32>(state + 2496, i);
}

// @ts-ignore: decorator
@inline function wave(table: P, turn: i32): i32 { return load<i32>(table + ((turn & 255) << 2)); }
// @ts-ignore: decorator
@inline function disc(u: i32, w: i32, r: i32): bool { return u * u + w * w <= r * r; }

function inside(shape: i32, u: i32, w: i32, r: i32, cosine: P): bool {
  const x = abs(u), y = abs(w), long = max(x, y);
  if (shape == 0) return disc(u, w, (r * 15) >> 4);
  if (shape == 1) return disc(u, w, r) && !disc(u, w, (r * 5) >> 3);
  if (shape == 2) return long <= (r * 13) >> 4;
  if (shape == 3) return long <= (r * 7) >> 3 && long > r >> 1;
  if (shape == 4) {
    const half = ((r * 19) >> 4) >> 1;
    return w <= half && ((x * 887) >> 10) - (w >> 1) <= half;
  }
  if (shape == 5) {
    const far = (((r * 9) >> 3) * 317) >> 10;
    let count = 0;
    for (let k = 0; k < 5; k++) {
      const turn = (k * 512 + 5) / 10;
      count += i32((u * wave(cosine, turn) + w * wave(cosine, turn - 64)) >> 12 <= far);
    }
    return count >= 4;
  }
  if (shape == 6) return long <= r && min(x, y) <= (r * 3) >> 3;
  if (shape == 7) {
    return (y <= r >> 3 || (y >= (r * 3) >> 3 && y <= (r * 5) >> 3)
      || (y >= (r * 7) >> 3 && y <= (r * 9) >> 3)) && x <= (r * 7) >> 3;
  }
  if (shape == 8) return disc(x - ((r * 9) >> 4), y - ((r * 9) >> 4), (r * 11) >> 5);
  return disc(u, w, r) && !disc(u - (r >> 1), w, (r * 13) >> 4);
}

function between(from: P, column: u32, low: i32, high: i32): i32 {
  return low + ((<i32>load<u16>(from + (column << 2)) * (high - low)) >> 16);
}

/** Images `first` to `end` (both multiples of 80, or the last end) of contrastive_tutorial's shapes:
 * u8 (count, 3, 32, 32), and for each image colour, background and texture (u8). `cosine`: i32
 * (256), `chroma`: i32 (4, 3). `room`: 300,000 bytes, which keep the state from call to call. */
export function draw(
  which: u32, first: u32, end: u32, images: P, factors: P, cosine: P, chroma: P, room: P,
): void {
  const noise = room + 2500, numbers = room + 5000, lattice = numbers + 3840, grain = lattice + 2880;
  if (!first) {
    seed(room, which);
    seed(noise, which + 1000);
  }
  for (let i = first; i < end; i++) {
    const place = i % 80;
    if (place == 0) {
      random(room, numbers, 960);
      random(noise, lattice, 720);
      random(noise, grain, 61440);
    }
    const from = numbers + place * 48;
    const colour = between(from, 0, 0, 4), background = between(from, 1, 0, 2);
    const texture = between(from, 2, 0, 5), radius = between(from, 3, 288, 416);
    const x0 = between(from, 4, -192, 193), y0 = between(from, 5, -192, 193);
    const rotation = between(from, 6, 0, 256), dark = between(from, 7, 0, 2) == 1;
    const contrast = between(from, 8, 110, 150), light = between(from, 9, 112, 144);
    const direction = between(from, 10, 0, 256), period = between(from, 11, 160, 352);
    store<u8>(factors + i * 3, <u8>colour);
    store<u8>(factors + i * 3, <u8>background, 1);
    store<u8>(factors + i * 3, <u8>texture, 2);
    const low = 40 + ((light * (175 - contrast)) >> 8), high = low + contrast;
    const shape = dark ? low : high, ground = dark ? high : low;
    const c = wave(cosine, rotation), s = wave(cosine, rotation - 64);
    const c2 = wave(cosine, direction), s2 = wave(cosine, direction - 64);
    const own = lattice + place * 36;
    for (let y = 0; y < 32; y++) {
      for (let x = 0; x < 32; x++) {
        let covered = 0;
        for (let k = 0; k < 4; k++) {
          const dx = x * 32 + (k & 1) * 16 - 504 - x0, dy = y * 32 + (k >> 1) * 16 - 504 - y0;
          covered += i32(inside(
            i % 10, (dx * c + dy * s) >> 12, (dy * c - dx * s) >> 12, radius, cosine,
          ));
        }
        const dx = x * 32 - 496, dy = y * 32 - 496;
        const u = (dx * c2 + dy * s2) >> 12, w = (dy * c2 - dx * s2) >> 12;
        let pattern = 0;
        if (texture == 1) pattern = u >> 3;
        else if (texture == 4) {
          const a = y * 40, b = x * 40;
          const o = own + (a >> 8) * 6 + (b >> 8), p = a & 255, q = b & 255;
          const left = <i32>load<u8>(o) * (256 - p) + <i32>load<u8>(o + 6) * p;
          const right = <i32>load<u8>(o + 1) * (256 - p) + <i32>load<u8>(o + 7) * p;
          pattern = ((left * (256 - q) + right * q) >> 17) - 64;
        } else if (texture) {
          const pu = (u % period + period) % period * 256 / period;
          const pw = (w % period + period) % period * 256 / period;
          pattern = texture == 2 ? abs(pu - 128) - 64 : i32(pu < 128) ^ i32(pw < 128) ? 48 : -48;
        }
        pattern >>= 1;
        for (let k = 0; k < 3; k++) {
          const o = (k * 32 + y) * 32 + x;
          const below = ground + load<i32>(chroma + (background * 6 + k) * 4) + pattern;
          const over = shape + load<i32>(chroma + (colour * 3 + k) * 4);
          const mixed = below + (((over - below) * covered) >> 2);
          const pixel = mixed + (<i32>load<u8>(grain + place * 3072 + o) >> 4) - 8;
          store<u8>(images + i * 3072 + o, <u8>max(0, min(255, pixel)));
        }
      }
    }
  }
}

const ROUND = memory.data<u32>([
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
  0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
  0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
  0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
  0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
  0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
  0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
  0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
]);

// @ts-ignore: decorator
@inline function turned(x: u32, a: u32, b: u32, c: u32): u32 {
  return rotr(x, a) ^ rotr(x, b) ^ rotr(x, c);
}

/** SHA-256 (FIPS 180-4) of whole blocks, the padding among them, into `state` (8 u32). */
export function sha256(data: P, blocks: u32, state: P): void {
  const w = state + 32;
  for (; blocks; blocks--, data += 64) {
    for (let i: u32 = 0; i < 64; i++) {
      let x: u32;
      if (i < 16) x = bswap(load<u32>(data + (i << 2)));
      else {
        const p = w + (i << 2), a = load<u32>(p - 60), b = load<u32>(p - 8);
        x = load<u32>(p - 64) + (rotr(a, 7) ^ rotr(a, 18) ^ (a >> 3)) + load<u32>(p - 28)
          + (rotr(b, 17) ^ rotr(b, 19) ^ (b >> 10));
      }
      store<u32>(w + (i << 2), x);
    }
    let a = load<u32>(state), b = load<u32>(state, 4), c = load<u32>(state, 8);
    let d = load<u32>(state, 12), e = load<u32>(state, 16), f = load<u32>(state, 20);
    let g = load<u32>(state, 24), h = load<u32>(state, 28);
    for (let i: u32 = 0; i < 256; i += 4) {
      const x = h + turned(e, 6, 11, 25) + ((e & f) ^ (~e & g)) + load<u32>(ROUND + i)
        + load<u32>(w + i);
      const y = turned(a, 2, 13, 22) + ((a & b) ^ (a & c) ^ (b & c));
      h = g; g = f; f = e; e = d + x; d = c; c = b; b = a; a = x + y;
    }
    store<u32>(state, load<u32>(state) + a);
    store<u32>(state, load<u32>(state, 4) + b, 4);
    store<u32>(state, load<u32>(state, 8) + c, 8);
    store<u32>(state, load<u32>(state, 12) + d, 12);
    store<u32>(state, load<u32>(state, 16) + e, 16);
    store<u32>(state, load<u32>(state, 20) + f, 20);
    store<u32>(state, load<u32>(state, 24) + g, 24);
    store<u32>(state, load<u32>(state, 28) + h, 28);
  }
}

// Augmentation -----------------------------------------------------------------------------------

// @ts-ignore: decorator
@inline function luma(p: P): V {
  return mac(
    mac(mul(at(p), v(0.2989)), at(p + 4096), v(0.587)), at(p + 8192), v(0.114),
  );
}
// @ts-ignore: decorator
@inline function clamp(x: V): V { return f32x4.min(f32x4.max(x, v(0)), v(1)); }

function source(pixel: f32, start: f32, length: f32): f32 {
  return min(max((pixel + 0.5) * (length / 32) - 0.5, 0), length - 1) + start;
}

/** One view of an image u8 (3, 32, 32), as contrastive_tutorial.augment makes it: crop, flip,
 * colour jitter, grey, brightness, blur. `q` is 16 numbers: top, left, height, width, flip;
 * factors of brightness, contrast and saturation, turn of the hue; their order (4 indices); grey;
 * brightness added; deviation of the blur. Into float32 (32, 32, 3), lines `line` bytes apart;
 * `room`: 17,000 bytes. */
export function augment(image: P, q: P, out: P, line: P, room: P): void {
  const table = room + 12288, top = f(q), height = f(q + 8);
  for (let x: u32 = 0; x < 32; x++) {
    const from = f(q + 16) != 0 ? 31 - x : x;
    const s = source(<f32>from, f(q + 4), f(q + 12)), whole = floor(s);
    store<u32>(table + (x << 3), <u32>whole);
    store<f32>(table + (x << 3) + 4, s - whole);
  }
  for (let y: u32 = 0; y < 32; y++) {
    const s = source(<f32>y, top, height), whole = floor(s), part = s - whole;
    const low = <u32>whole << 5, high = <u32>min(whole + 1, top + height - 1) << 5;
    for (let k: u32 = 0; k < 3; k++) {
      const a = image + (k << 10) + low, b = image + (k << 10) + high;
      for (let x: u32 = 0; x < 32; x++) {
        const c = load<u32>(table + (x << 3)), e = min(c + 1, 31), t = f(table + (x << 3) + 4);
        const p = <f32>load<u8>(a + c), r = <f32>load<u8>(a + e);
        const left = p + part * (<f32>load<u8>(b + c) - p);
        const right = r + part * (<f32>load<u8>(b + e) - r);
        store<f32>(room + (k << 12) + (y << 7) + (x << 2), (left + t * (right - left)) / 255);
      }
    }
  }
  for (let stage: P = 0; stage < 16; stage += 4) {
    const what = <u32>f(q + 36 + stage), value = f(q + 20 + (what << 2));
    if (value == (what == 3 ? 0 : <f32>1)) continue;
    const k = v(value);
    if (what == 3) {
      turn(room, value);
      continue;
    }
    let mean = v(0);
    if (what == 1) {
      for (let p = room; p < room + 4096; p += 16) mean = add(mean, luma(p));
      mean = v(total(mean) / 1024);
    }
    for (let p = room; p < room + 4096; p += 16) {
      const other = what == 2 ? luma(p) : mean;
      for (let o = p; o < p + 12288; o += 4096) {
        put(o, clamp(mac(other, sub(at(o), other), k)));
      }
    }
  }
  const shift = v(f(q + 56)), grey = f(q + 52) != 0, sigma = f(q + 60);
  for (let p = room; p < room + 4096; p += 16) {
    const l = luma(p);
    for (let o = p; o < p + 12288; o += 4096) put(o, clamp(add(grey ? l : at(o), shift)));
  }
  if (sigma > 0) blur(room, sigma);
  for (let y: u32 = 0; y < 32; y++) {
    for (let x: u32 = 0; x < 32; x++) {
      const p = room + (y << 7) + (x << 2), o = out + y * line + x * 12;
      store<f32>(o, f(p)); store<f32>(o, load<f32>(p, 4096), 4); store<f32>(o, load<f32>(p, 8192), 8);
    }
  }
}

/** Turn the hue: see _hue in contrastive_tutorial.augment for why this is one. */
function turn(room: P, hue: f32): void {
  for (let p = room; p < room + 4096; p += 16) {
    const r = at(p), g = at(p + 4096), b = at(p + 8192);
    const high = f32x4.max(f32x4.max(r, g), b), low = f32x4.min(f32x4.min(r, g), b);
    const chroma = mul(sub(high, low), v(6));
    const away = f32x4.div(
      sub(add(sub(add(g, b), r), high), add(low, low)), f32x4.max(chroma, v(1e-9)),
    );
    const turns = v128.bitselect(sub(g, b), away, i32x4.splat(0x80000000));
    const base = sub(low, mul(chroma, v(1.0 / 6.0)));
    for (let k = 0; k < 3; k++) {
      const h = hue - <f32>k / 3;
      let near = add(turns, v(h - nearest(h)));
      near = f32x4.abs(sub(f32x4.abs(near), v(0.5)));
      near = f32x4.min(f32x4.max(near, v(1.0 / 6.0)), v(1.0 / 3.0));
      put(p + (k << 12), mac(base, chroma, near));
    }
  }
}

function blur(room: P, sigma: f32): void {
  const taps = room + 12288, spare = taps + 32;
  let sum: f32 = 0;
  put(taps, exp(mul(f32x4(9, 4, 1, 0), v(-0.5 / (sigma * sigma)))));
  for (let i: P = 0; i < 12; i += 4) sum += 2 * f(taps + i);
  sum += f(taps + 12);
  for (let plane = room; plane < taps; plane += 4096) {
    for (let pass = 0; pass < 2; pass++) {
      // Along x into the spare plane, then along y back.
      const from = pass ? spare : plane, to = pass ? plane : spare;
      for (let y = 0; y < 32; y++) {
        for (let x = 0; x < 32; x++) {
          let value: f32 = 0;
          for (let t = -3; t <= 3; t++) {
            let s = abs((pass ? y : x) + t);
            s = 31 - abs(31 - s);
            value += f(taps + ((3 - abs(t)) << 2))
              * f(from + (pass ? (s << 7) + (x << 2) : (y << 7) + (s << 2)));
          }
          store<f32>(to + (y << 7) + (x << 2), value / sum);
        }
      }
    }
  }
}

// Measuring --------------------------------------------------------------------------------------

/** How many of `count` unit rows x get their class (`row % 10`) by a vote of the 10 most similar of
 * `size` unit rows of the bank, whose class is `row % 10` too. A tie goes to the smallest class. */
export function knn(x: P, count: u32, bank: P, size: u32, width: u32, room: P): u32 {
  const wide: P = width << 2, votes = room + 80;
  let hits: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const own = x + i * wide;
    for (let k: P = 0; k < 80; k += 8) store<f32>(room + k, -2);
    for (let j: u32 = 0; j < size; j++) {
      let sum = v(0);
      const o = bank + j * wide;
      for (let p: P = 0; p < wide; p += 16) sum = mac(sum, at(own + p), at(o + p));
      const s = total(sum);
      let k = room + 72;
      if (s <= f(k)) continue;
      for (; k > room && f(k - 8) < s; k -= 8) store<u64>(k, load<u64>(k - 8));
      store<f32>(k, s);
      store<u32>(k, j % 10, 4);
    }
    memory.fill(votes, 0, 40);
    for (let k: P = 0; k < 80; k += 8) {
      const o = votes + (load<u32>(room + k, 4) << 2);
      store<u32>(o, load<u32>(o) + 1);
    }
    let best: u32 = 0;
    for (let k: u32 = 1; k < 10; k++) {
      if (load<u32>(votes + (k << 2)) > load<u32>(votes + (best << 2))) best = k;
    }
    hits += u32(best == i % 10);
  }
  return hits;
}

/** Squared distance of two rows of `wide` bytes. */
function apart(a: P, b: P, wide: P): f32 {
  let sum = v(0);
  for (const end = a + wide; a < end; a += 16, b += 16) {
    const t = sub(at(a), at(b));
    sum = mac(sum, t, t);
  }
  return total(sum);
}

/** Greedy k-means++ starts, as contrastive_tutorial.metrics.kmeans has them: 10 of the rows x
 * (count, width) to `c`. `u` has 4 numbers in [0, 1) for each; `room`: 12 count bytes. */
export function starts(x: P, count: u32, width: u32, c: P, u: P, room: P): void {
  const wide: P = width << 2, size: P = count << 2, tried = room + size, kept = tried + size;
  for (const end = c + 10 * wide, first = c; c < end; c += wide, u += 16) {
    let all: f64 = 0, least: f64 = Infinity;
    for (let i: P = 0; i < size; i += 4) {
      if (c == first) store<f32>(room + i, 1);
      all += f(room + i);
    }
    for (let t: P = 0; t < 16; t += 4) {
      let row: u32 = 0, sum: f64 = 0;
      // The last row where all lie on a start, as those of a collapsed network do.
      for (let ball = f(u + t) * all; row < count - 1; row++) {
        ball -= f(room + (row << 2));
        if (ball < 0) break;
      }
      for (let i: u32 = 0; i < count; i++) {
        const here = apart(x + row * wide, x + i * wide, wide);
        const value = c == first ? here : min(here, f(room + (i << 2)));
        store<f32>(tried + (i << 2), value);
        sum += value;
      }
      if (sum >= least) continue;
      least = sum;
      memory.copy(c, x + row * wide, wide);
      memory.copy(kept, tried, size);
      if (c == first) break; // of the first nothing is known yet
    }
    memory.copy(room, kept, size);
  }
}

/** Which of 10 centroids c is nearest to each of the rows x (count, width), u32 to `label`, and
 * the squared distance, f32 to `far`; gives their sum, the inertia. */
export function assign(x: P, count: u32, width: u32, c: P, label: P, far: P): f64 {
  const wide: P = width << 2;
  let inertia: f64 = 0;
  for (const end = label + (count << 2); label < end; label += 4, far += 4, x += wide) {
    let least: f32 = Infinity;
    for (let k: u32 = 0; k < 10; k++) {
      const value = apart(x, c + k * wide, wide);
      if (value >= least) continue;
      least = value;
      store<u32>(label, k);
    }
    store<f32>(far, least);
    inertia += least;
  }
  return inertia;
}

/** Lloyd's algorithm from the centroids c, until none moves; gives the inertia. A cluster that
 * runs empty takes the point farthest from its centroid. `room`: 8 count + 40 bytes. */
export function lloyd(x: P, count: u32, width: u32, c: P, room: P): f64 {
  const wide: P = width << 2, far = room + (count << 2), sizes = far + (count << 2);
  let inertia: f64 = Infinity;
  for (let turn = 0; turn < 300; turn++) {
    const before = inertia;
    inertia = assign(x, count, width, c, room, far);
    if (inertia >= before) break;
    memory.fill(sizes, 0, 40);
    for (let i: u32 = 0; i < count; i++) {
      const o = sizes + (load<u32>(room + (i << 2)) << 2);
      store<u32>(o, load<u32>(o) + 1);
    }
    for (let k: u32 = 0; k < 10; k++) {
      if (load<u32>(sizes + (k << 2))) continue;
      let most: P = 0;
      for (let i: P = 0; i < count << 2; i += 4) if (f(far + i) > f(far + most)) most = i;
      const o = sizes + (load<u32>(room + most) << 2);
      store<u32>(o, load<u32>(o) - 1);
      store<u32>(sizes + (k << 2), 1);
      store<u32>(room + most, k);
      store<f32>(far + most, 0);
    }
    memory.fill(c, 0, 10 * wide);
    for (let i: u32 = 0; i < count; i++) {
      const k = load<u32>(room + (i << 2)), part = v(1 / <f32>load<u32>(sizes + (k << 2)));
      for (let p: P = 0; p < wide; p += 16) {
        put(c + k * wide + p, mac(at(c + k * wide + p), part, at(x + i * wide + p)));
      }
    }
  }
  return inertia;
}

/** Every `stride`-th row of x (count, width): means (f64) to `mean`, and the matrix of the sums of
 * products of what is left (f64) to `out`. */
function gram(x: P, count: u32, stride: u32, width: u32, mean: P, out: P): void {
  const rows = <f64>((count + stride - 1) / stride), wide: P = width << 2;
  for (let a: u32 = 0; a < width; a++) {
    let sum: f64 = 0;
    for (let i: u32 = 0; i < count; i += stride) sum += f(x + i * wide + (a << 2));
    store<f64>(mean + (a << 3), sum / rows);
  }
  memory.fill(out, 0, width * width * 8);
  for (let i: u32 = 0; i < count; i += stride) {
    for (let a: u32 = 0; a < width; a++) {
      const y = f(x + i * wide + (a << 2)) - d(mean + (a << 3)), o = out + a * width * 8;
      for (let b: u32 = 0; b <= a; b++) {
        const z = f(x + i * wide + (b << 2)) - d(mean + (b << 3));
        store<f64>(o + (b << 3), d(o + (b << 3)) + y * z);
      }
    }
  }
  for (let a: u32 = 0; a < width; a++) {
    for (let b: u32 = 0; b < a; b++) {
      store<f64>(out + (b * width + a) * 8, d(out + (a * width + b) * 8));
    }
  }
}

/** Of the odd rows of x (count, width), how many does a linear probe fitted on the even ones give
 * their class (u8)? Least squares on one-hot targets, standardised features, ridge of one
 * thousandth of the rows. `room`: 8 (width + 2) (width + classes) bytes. */
export function probe(x: P, label: P, count: u32, width: u32, classes: u32, room: P): u32 {
  const mean = room, scale = mean + width * 8, a = scale + width * 8, w = a + width * width * 8;
  gram(x, count, 2, width, mean, a);
  const rows = <f64>((count + 1) / 2);
  for (let i: u32 = 0; i < width; i++) {
    store<f64>(scale + (i << 3), 1 / Math.sqrt(d(a + (i * width + i) * 8) / rows + 1e-12));
  }
  memory.fill(w, 0, width * classes * 8);
  for (let i: u32 = 0; i < width; i++) {
    const s = d(scale + (i << 3));
    for (let j: u32 = 0; j < width; j++) {
      const o = a + (i * width + j) * 8;
      store<f64>(o, d(o) * s * d(scale + (j << 3)) + (i == j ? rows * 1e-3 : 0));
    }
    for (let r: u32 = 0; r < count; r += 2) {
      const o = w + (i * classes + load<u8>(label + r)) * 8;
      store<f64>(o, d(o) + (f(x + (r * width + i) * 4) - d(mean + (i << 3))) * s);
    }
  }
  // Cholesky's factor in the lower triangle, then both substitutions.
  for (let i: u32 = 0; i < width; i++) {
    for (let j: u32 = 0; j <= i; j++) {
      let sum = d(a + (i * width + j) * 8);
      for (let k: u32 = 0; k < j; k++) {
        sum -= d(a + (i * width + k) * 8) * d(a + (j * width + k) * 8);
      }
      store<f64>(
        a + (i * width + j) * 8, i == j ? Math.sqrt(sum) : sum / d(a + (j * width + j) * 8),
      );
    }
  }
  for (let c: u32 = 0; c < classes; c++) {
    for (let i: u32 = 0; i < width; i++) {
      let sum = d(w + (i * classes + c) * 8);
      for (let k: u32 = 0; k < i; k++) {
        sum -= d(a + (i * width + k) * 8) * d(w + (k * classes + c) * 8);
      }
      store<f64>(w + (i * classes + c) * 8, sum / d(a + (i * width + i) * 8));
    }
    for (let i = width; i-- > 0;) {
      let sum = d(w + (i * classes + c) * 8);
      for (let k = i + 1; k < width; k++) {
        sum -= d(a + (k * width + i) * 8) * d(w + (k * classes + c) * 8);
      }
      store<f64>(w + (i * classes + c) * 8, sum / d(a + (i * width + i) * 8));
    }
  }
  let hits: u32 = 0;
  for (let r: u32 = 1; r < count; r += 2) {
    let best: u32 = 0, top: f64 = -1e300;
    for (let c: u32 = 0; c < classes; c++) {
      let sum: f64 = 0;
      for (let i: u32 = 0; i < width; i++) {
        sum += (f(x + (r * width + i) * 4) - d(mean + (i << 3))) * d(scale + (i << 3))
          * d(w + (i * classes + c) * 8);
      }
      if (sum > top) { top = sum; best = c; }
    }
    hits += u32(best == load<u8>(label + r));
  }
  return hits;
}

/** The two first principal components of x (count, width): `axes` (f64, 2 by width) is where the
 * search starts and ends; coordinates float32 (count, 2) to `out`. `room`: 8 width (width + 2). */
export function components(x: P, count: u32, width: u32, axes: P, out: P, room: P): void {
  const mean = room, a = mean + width * 8, next = a + width * width * 8;
  gram(x, count, 1, width, mean, a);
  for (let turn = 0; turn < 100; turn++) {
    for (let k: u32 = 0; k < 2; k++) {
      const axis = axes + k * width * 8;
      for (let i: u32 = 0; i < width; i++) {
        let sum: f64 = 0;
        for (let j: u32 = 0; j < width; j++) {
          sum += d(a + (i * width + j) * 8) * d(axis + (j << 3));
        }
        store<f64>(next + (i << 3), sum);
      }
      let along: f64 = 0, square: f64 = 0;
      if (k) for (let i: u32 = 0; i < width; i++) along += d(next + (i << 3)) * d(axes + (i << 3));
      for (let i: u32 = 0; i < width; i++) {
        const y = d(next + (i << 3)) - (k ? along * d(axes + (i << 3)) : 0);
        store<f64>(next + (i << 3), y);
        square += y * y;
      }
      // Where there is no variance left, any axis is as good as any other.
      if (square == 0) continue;
      square = 1 / Math.sqrt(square);
      for (let i: u32 = 0; i < width; i++) store<f64>(axis + (i << 3), d(next + (i << 3)) * square);
    }
  }
  for (let r: u32 = 0; r < count; r++) {
    for (let k: u32 = 0; k < 2; k++) {
      let sum: f64 = 0;
      for (let i: u32 = 0; i < width; i++) {
        sum += (f(x + (r * width + i) * 4) - d(mean + (i << 3))) * d(axes + (k * width + i) * 8);
      }
      store<f32>(out + (r * 2 + k) * 4, <f32>sum);
    }
  }
}
