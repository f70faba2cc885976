// Reads {file, kind, cases} from stdin; writes what the kind's `numbers` gives for each case.
const fs = require("fs");
const { file, core, kind, cases } = JSON.parse(fs.readFileSync(0, "utf8"));
const text = [file, core].map((path) => fs.readFileSync(path, "utf8")).join("\n")
  .replace("export default { render };", "return kinds;");
const kinds = new Function(text)();
process.stdout.write(JSON.stringify(cases.map((one) => kinds[kind].numbers(one))));
