// Twelve independent chains of a multiplication and an addition, each in a register of four floats:
// 48 of either a round, and nothing is read from memory. Twelve keep both units busy through the
// six cycles that one of them takes; with ten or eleven the time is the same.
export function chains(rounds: i32, factor: f32): f32 {
  const b = f32x4.splat(factor), c = f32x4.splat(1e-7);
  let a0 = c, a1 = b, a2 = c, a3 = b, a4 = c, a5 = b, a6 = c, a7 = b, a8 = c, a9 = b, a10 = c, a11 = b;
  for (let i = 0; i < rounds; i++) {
    a0 = f32x4.add(f32x4.mul(a0, b), c); a1 = f32x4.add(f32x4.mul(a1, b), c);
    a2 = f32x4.add(f32x4.mul(a2, b), c); a3 = f32x4.add(f32x4.mul(a3, b), c);
    a4 = f32x4.add(f32x4.mul(a4, b), c); a5 = f32x4.add(f32x4.mul(a5, b), c);
    a6 = f32x4.add(f32x4.mul(a6, b), c); a7 = f32x4.add(f32x4.mul(a7, b), c);
    a8 = f32x4.add(f32x4.mul(a8, b), c); a9 = f32x4.add(f32x4.mul(a9, b), c);
    a10 = f32x4.add(f32x4.mul(a10, b), c); a11 = f32x4.add(f32x4.mul(a11, b), c);
  }
  // All of them are used, so that the compiler leaves none out.
  const low = f32x4.add(f32x4.add(f32x4.add(a0, a1), f32x4.add(a2, a3)), f32x4.add(a4, a5));
  const high = f32x4.add(f32x4.add(f32x4.add(a6, a7), f32x4.add(a8, a9)), f32x4.add(a10, a11));
  return f32x4.extract_lane(f32x4.add(low, high), 0);
}
