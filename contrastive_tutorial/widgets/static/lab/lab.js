// The lab's outermost part, small enough to stand in any page: unpacks the rest (view.js, the
// engine, the questions; see lab.py) once a reader comes near, and lets it draw.

// Base 85 without the letters that HTML escapes; base 64 would make the page 2 kB longer.
const LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%:()*+-;,=.?@^_`{|}~";

function bytesOf(text) {
  const words = new DataView(new ArrayBuffer(text.length * 0.8));
  for (let i = 0; i < text.length; i += 5) {
    let word = 0;
    for (const letter of text.slice(i, i + 5)) word = word * 85 + LETTERS.indexOf(letter);
    words.setUint32(i * 0.8, word);
  }
  return words.buffer;
}

// One deflated stream of "size" bytes: JSON, view.js and the script of the worker, each with a zero
// after it, then the WebAssembly.
async function unpack({ letters, size }) {
  const stream = new Blob([bytesOf(letters).slice(0, size)]).stream();
  const bytes = new Uint8Array(await new Response(
    stream.pipeThrough(new DecompressionStream("deflate"))).arrayBuffer());
  let from = 0;
  const [content, view, script] = [0, 0, 0].map(() => new TextDecoder().decode(
    bytes.subarray(from, (from = bytes.indexOf(0, from) + 1) - 1)));
  return { ...JSON.parse(content), view, script, wasm: bytes.subarray(from) };
}

function render({ model, el }) {
  const linked = model.get("address") && location.hash.startsWith("#lab?");
  let close = () => sight.disconnect();
  const sight = new IntersectionObserver(async (entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    sight.disconnect();
    try {
      const content = await unpack(model.get("packed"));
      el.replaceChildren();
      // As inline as this script is: no page that runs the one refuses the other.
      const script = document.createElement("script");
      script.textContent = `window.ctLab = (() => { "use strict"; ${content.view} })();`;
      document.head.append(script);
      script.remove();
      close = window.ctLab.render({ model, el, content });
      if (linked) el.scrollIntoView();
    } catch (error) {
      el.append(` (This browser cannot unpack it: ${error.message}.)`);
    }
  }, { rootMargin: "25%" });
  el.style.minHeight = "30rem"; // so that little moves when it comes
  if (linked) el.scrollIntoView();
  sight.observe(el);
  return () => close();
}

export default { render };
