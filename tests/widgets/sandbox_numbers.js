// Reads {file, cases, runs} from stdin; writes loss and gradient of each case, and how the spread of
// each run ends after `steps` steps, as a share of the first.
const fs = require("fs");
const { file, cases, runs } = JSON.parse(fs.readFileSync(0, "utf8"));
const text = fs.readFileSync(file, "utf8").replace(
  "export default { render };", "return { lossAndGradient, advance, embed, spreadOf };");
const page = new Function(text)();
const answers = cases.map(({ loss, points, classes, margin, tau }) =>
  page.lossAndGradient(loss, points, classes, margin, tau));
const ends = runs.map(({ loss, network, inputs, weights, classes, steps }) => {
  const points = page.embed(inputs, weights);
  let now = network ? { inputs, weights, points } : { points };
  const first = page.spreadOf(points);
  let last = 0;
  for (let t = 0; t < steps; t++) {
    const found = page.lossAndGradient(loss, now.points, classes, 0.2, 0.5);
    last = found.loss;
    const slow = loss === "InfoNCE" ? 0.5 : 1;
    now = page.advance(now, found.gradient, { points: 0.5 * slow, network: 0.01 * slow });
  }
  return { left: page.spreadOf(now.points) / first, loss: last };
});
process.stdout.write(JSON.stringify({ answers, ends }));
