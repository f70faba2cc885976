// A recorded `interact`: every combination of the choices was computed when the page was built.
// Frames come deflated; the positions of the controls pick one. See player.py for the state.

const CSS = `
:host { display: block; }
* { box-sizing: border-box; }
.player { --fg: #1f2328; --muted: #57606a; --line: #d0d7de; --field: #ffffff; --accent: #0a5fa8;
  --error: #b3261e; color: var(--fg); font-size: 0.9rem; line-height: 1.45;
  border: 1px solid var(--line); border-radius: 8px; padding: 0.6rem 0.8rem; margin: 0.4rem 0; }
.player[data-theme="dark"] { --fg: #e6e6e6; --muted: #a9b1ba; --line: #48505a; --field: #22272e;
  --accent: #6cb6ff; --error: #ff8f87; }
.controls { display: grid; gap: 0.35rem 0.75rem; grid-template-columns: max-content minmax(0, 1fr);
  align-items: center; }
.row { display: contents; }
label { font-weight: 600; overflow-wrap: anywhere; }
.field { display: flex; flex-wrap: wrap; align-items: center; gap: 0.35rem; min-width: 0; }
input[type="range"] { flex: 1 1 8rem; min-width: 6rem; max-width: 26rem; height: 1.6rem; margin: 0;
  accent-color: var(--accent); }
input[type="checkbox"] { width: 1.2rem; height: 1.2rem; margin: 0.2rem 0; accent-color: var(--accent); }
select, button { font: inherit; color: var(--fg); background: var(--field);
  border: 1px solid var(--line); border-radius: 6px; min-height: 1.8rem; padding: 0.1rem 0.5rem;
  max-width: 100%; }
button { min-width: 1.8rem; cursor: pointer; }
button:hover:not(:disabled), select:hover { border-color: var(--accent); }
button:disabled { opacity: 0.45; cursor: default; }
:is(select, button, input, .stage):focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
output { min-width: 3.2em; font-variant-numeric: tabular-nums; font-weight: 600;
  overflow-wrap: anywhere; }
.stage { margin-top: 0.6rem; overflow-x: auto; }
.stage img, .stage svg { max-width: 100%; height: auto; display: block; margin: 0 auto; }
.stage pre { margin: 0.3rem 0; white-space: pre-wrap; overflow-wrap: anywhere; color: var(--fg);
  font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
.stage table { border: 0; border-collapse: collapse; font-variant-numeric: tabular-nums; }
.stage th, .stage td { padding: 0.15rem 0.6rem; text-align: right; border: 0;
  border-bottom: 1px solid var(--line); }
.stage .error { color: var(--error); border-left: 3px solid var(--error); padding: 0.2rem 0.6rem;
  margin: 0.3rem 0; overflow-wrap: anywhere; }
.note { color: var(--muted); font-size: 0.8rem; margin: 0.5rem 0 0; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%);
  white-space: nowrap; }
@media (max-width: 30rem) {
  .player { padding: 0.5rem 0.3rem; }
  .controls { grid-template-columns: minmax(0, 1fr); gap: 0.1rem; }
}
`;

// Never narrower than this share of its own width: labels of nine points stay at eleven pixels. On
// a phone a wide picture then scrolls sideways, instead of becoming one that nobody can read.
const LEAST = 0.92;

const STEP_MS = 700;

// Between two steps of long work the browser may answer the reader.
const breath = () => new Promise((then) => setTimeout(then));

async function inflate(packed) {
  const letters = atob(packed);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
  const stream = new ReadableStream({
    start(controller) {
      controller.enqueue(bytes);
      controller.close();
    },
  });
  const text = await new Response(stream.pipeThrough(new DecompressionStream("deflate"))).text();
  await breath();
  const content = JSON.parse(text);
  await breath();
  return content;
}

// A page holds many players, and unpacking all of them would keep it busy while it opens. So each
// waits until it comes close to sight or the page has nothing else to do. Not where the browser has a
// place in the page to go to: what stands above it must have its height.
function whenWanted(node, call) {
  const [visit] = performance.getEntriesByType("navigation");
  if (location.hash || !visit || visit.type !== "navigate") {
    call();
    return () => {};
  }
  const near = new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting)) go();
  }, { rootMargin: "100%" });
  const idle = window.requestIdleCallback || ((then) => setTimeout(then, 200));
  const later = () => idle(go);
  let waiting = true;
  function end() {
    waiting = false;
    near.disconnect();
    removeEventListener("load", later);
  }
  function go() {
    if (!waiting) return;
    end();
    call();
  }
  near.observe(node);
  if (document.readyState === "complete") later();
  else addEventListener("load", later);
  return end;
}

function drawPart(part) {
  if (part.type === "text") return element("pre", {}, part.data);
  if (part.type === "error") {
    return element("p", { class: "error" }, "This combination fails: " + part.data);
  }
  const holder = element("div");
  if (part.type === "image") {
    holder.append(element("img", { src: part.data, alt: part.alt, width: part.width,
      height: part.height }));
  } else holder.innerHTML = part.data; // HTML that the author's own Python returned
  for (const picture of holder.querySelectorAll(":is(svg, img)[width]")) {
    picture.style.minWidth = `${LEAST * picture.getAttribute("width")}px`;
  }
  return holder;
}

function render({ model, el }) {
  const shadow = el.attachShadow({ mode: "open" });
  const player = element("div", { class: "player", role: "group",
    "aria-label": model.get("title") });
  const controls = element("div", { class: "controls" });
  const stage = element("div", { class: "stage", "aria-busy": "true" },
    "Unpacking the recorded frames…");
  const live = element("div", { class: "unseen", role: "status", "aria-live": "polite" });
  const note = element("p", { class: "note" });
  player.append(controls, stage, live, note);
  shadow.append(element("style", {}, CSS), player);
  const forget = followTheme(el, (theme) => { player.dataset.theme = theme; });

  let timer = 0;
  const stop = [];

  // A frame that is wider than its place scrolls sideways: the keyboard must be able to get there.
  function reach() {
    if (stage.scrollWidth > stage.clientWidth + 1) {
      stage.tabIndex = 0;
      stage.setAttribute("role", "region");
      stage.setAttribute("aria-label", `${model.get("title")}: scrolls sideways`);
    } else {
      ["tabindex", "role", "aria-label"].forEach((name) => stage.removeAttribute(name));
    }
  }

  function start(content) {
    const position = content.controls.map((control) => control.index);
    const strides = content.controls.map((_, i) =>
      content.controls.slice(i + 1).reduce((size, control) => size * control.labels.length, 1));
    let announcement = 0;

    function spoken() {
      return content.controls
        .map((control, i) => `${control.label} = ${control.labels[position[i]]}`).join(", ");
    }

    const frameNow = () =>
      content.frames[content.order[position.reduce((sum, at, i) => sum + at * strides[i], 0)]];

    const pieces = element("div");

    function draw() {
      const { parts } = frameNow();
      pieces.replaceChildren(...parts.map((index) => drawPart(content.parts[index])));
    }

    function show(quiet) {
      const frame = frameNow();
      // The stage never shrinks while a reader moves a slider, so the page does not jump.
      stage.style.minHeight = stage.offsetHeight + "px";
      draw();
      reach();
      clearTimeout(announcement);
      if (!quiet) {
        announcement = setTimeout(() => {
          live.textContent = `${spoken()}. ${frame.spoken}`;
        }, 200);
      }
    }

    function pause() {
      clearInterval(timer);
      timer = 0;
      stop.splice(0).forEach((call) => call());
    }

    content.controls.forEach((control, i) => {
      let mark = () => {}; // makes the control itself say where it stands
      const place = (at, quiet) => {
        position[i] = at;
        mark();
        show(quiet);
      };
      const id = "control-" + i;
      const label = element("label", { for: id }, control.label);
      const field = element("div", { class: "field" });
      const last = control.labels.length - 1;
      if (control.kind === "range") {
        const input = element("input", { id, type: "range", min: 0, max: last, step: 1,
          value: position[i] });
        const value = element("output", { for: id });
        const back = element("button", { type: "button", title: "Step back",
          "aria-label": `${control.label}: step back` }, "◀");
        const forth = element("button", { type: "button", title: "Step forward",
          "aria-label": `${control.label}: step forward` }, "▶");
        const play = element("button", { type: "button", class: "play",
          "aria-label": `Play ${control.label}` }, "Play");
        mark = () => {
          input.value = position[i];
          input.setAttribute("aria-valuetext", control.labels[position[i]]);
          value.textContent = control.labels[position[i]];
          back.disabled = position[i] === 0;
          forth.disabled = position[i] === last;
        };
        input.addEventListener("input", () => { pause(); place(Number(input.value)); });
        back.addEventListener("click", () => { pause(); place(position[i] - 1); });
        forth.addEventListener("click", () => { pause(); place(position[i] + 1); });
        play.addEventListener("click", () => {
          const mine = play.textContent === "Pause";
          pause();
          if (mine) return show();
          play.textContent = "Pause";
          play.setAttribute("aria-label", `Pause ${control.label}`);
          stop.push(() => {
            play.textContent = "Play";
            play.setAttribute("aria-label", `Play ${control.label}`);
          });
          if (position[i] === last) place(0, true);
          timer = setInterval(() => {
            // Quiet while it runs: a screen reader hears where it stopped.
            place(position[i] + 1, position[i] + 1 < last);
            if (position[i] === last) pause();
          }, STEP_MS);
          return undefined;
        });
        const calm = matchMedia("(prefers-reduced-motion: reduce)");
        const settle = () => {
          if (calm.matches) pause();
          play.hidden = calm.matches;
        };
        calm.addEventListener("change", settle);
        settle();
        field.append(back, input, forth, value, play);
      } else if (control.kind === "checkbox") {
        const input = element("input", { id, type: "checkbox" });
        mark = () => { input.checked = control.values[position[i]]; };
        input.addEventListener("change", () => {
          pause();
          place(control.values.indexOf(input.checked));
        });
        field.append(input);
      } else {
        const select = element("select", { id }, ...control.labels.map((text, at) =>
          element("option", { value: at }, text)));
        mark = () => { select.value = position[i]; };
        select.addEventListener("change", () => { pause(); place(Number(select.value)); });
        field.append(select);
      }
      mark();
      controls.append(element("div", { class: "row" }, label, field));
    });
    note.textContent = content.note;
    draw();
    stage.removeAttribute("aria-busy");
    stage.replaceChildren(pieces);
    watchWidth.unobserve(player); // says what there is to see once the browser has laid it out
    watchWidth.observe(player);
  }

  let width = 0;
  const watchWidth = new ResizeObserver(([entry]) => {
    if (Math.abs(entry.contentRect.width - width) > 1) stage.style.minHeight = "";
    width = entry.contentRect.width;
    reach();
  });
  watchWidth.observe(player);

  const forgo = whenWanted(el, () => inflate(model.get("packed")).then(start).catch((error) => {
    stage.removeAttribute("aria-busy");
    stage.replaceChildren(element("p", { class: "error" },
      "The recorded frames could not be unpacked (" + error.message +
      "): a browser from 2023 or later is needed."));
  }));

  return () => {
    clearInterval(timer);
    watchWidth.disconnect();
    forget();
    forgo();
  };
}

export default { render };
