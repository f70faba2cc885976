// Runs the lab's worker in a thread of node, as a page would, for test_lab_core.py: a job (JSON) on
// standard input, every message it heard as JSON on standard output.
// `script` is a list of [what to wait for, messages to send then]: a type, or milliseconds.
"use strict";
const fs = require("fs"), path = require("path"), {Worker} = require("worker_threads");
const job = JSON.parse(fs.readFileSync(0, "utf8"));
const read = (name) => fs.readFileSync(path.join(job.folder, name));
const page = `const {parentPort} = require("worker_threads");
globalThis.navigator = {userAgent: "a node \\u{1F600}"}; globalThis.onmessage = null;
// In node a port that writes to itself keeps every other one waiting; in a browser it does not.
globalThis.MessageChannel = function () {
  this.port1 = {};
  this.port2 = {postMessage: () => setImmediate(() => this.port1.onmessage({}))};
};
globalThis.postMessage = (data, moved) => parentPort.postMessage(data, moved);
parentPort.on("message", (data) => onmessage({data}));
`;
const source = `const LAB_WASM = "${read("lab.wasm").toString("base64")}";\n`
  + read("model.js") + read("worker.js");
const worker = new Worker(page + source, {eval: true});
const heard = [], script = [...job.script];

function onwards() {
  const [, messages] = script.shift();
  for (const message of messages) worker.postMessage(message);
  if (!script.length) finish();
  else if (typeof script[0][0] == "number") setTimeout(onwards, script[0][0]);
}

function finish() {
  const plain = (_, value) => (ArrayBuffer.isView(value) ? Array.from(value) : value);
  process.stdout.write(JSON.stringify(heard, plain), () => process.exit(0));
}

worker.on("message", (data) => {
  heard.push(data);
  if (script.length && script[0][0] == data.type) onwards();
});
worker.on("error", (error) => { console.error(error); process.exit(1); });
setTimeout(() => { console.error("too long"); process.exit(1); }, 110000).unref();
onwards();
