// The reader's predictions: choices to tick, a veil over what they are about, and a count of hits.
// Without this file the boxes are lists, every output is in sight, and the answers stand in words.
"use strict";

(function () {
  const boxes = [...document.querySelectorAll(".book-predict")];
  if (!boxes.length) return;
  const KEY = `predictions:${location.pathname}`;
  const counted = { hits: 0, asked: 0 };
  const opened = [];

  const make = (tag, attributes, ...inside) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (typeof value === "function") node.addEventListener(name, value);
      else node.setAttribute(name, value);
    }
    node.append(...inside);
    return node;
  };

  // What a reader answered before, if the browser keeps it: it may refuse, and then nothing is kept.
  const kept = (() => {
    try { return JSON.parse(localStorage.getItem(KEY)) || {}; } catch { return {}; }
  })();
  const keep = (question, letters) => {
    kept[question] = letters;
    try { localStorage.setItem(KEY, JSON.stringify(kept)); } catch { /* for this visit only */ }
  };

  const total = make("p", { class: "book-score", hidden: "" });
  const score = () => {
    const { hits, asked } = counted;
    total.hidden = !asked;
    total.textContent = `Your predictions on this page: ${hits} of ${asked} right.`;
    return `${hits} of ${asked} so far.`;
  };
  const pageOf = boxes[0].closest("article") || document.body;
  (pageOf.querySelector("section") || pageOf).append(total);

  // Outputs of the next cells, and the words right below the last of them.
  function veiledBy(box, count) {
    const after = (node) => box.compareDocumentPosition(node) & Node.DOCUMENT_POSITION_FOLLOWING;
    const cells = [...document.querySelectorAll(".cell, .book-predict, .exercise")].filter(after);
    const end = cells.findIndex((node) => !node.matches(".cell"));
    const outputs = (end < 0 ? cells : cells.slice(0, end))
      .map((cell) => cell.querySelector(":scope > .cell_output")).filter(Boolean).slice(0, count);
    if (!outputs.length) return [];
    const words = [];
    let next = outputs[outputs.length - 1].closest(".cell").nextElementSibling;
    while (next && next.matches("p, ul, ol, table, .pst-scrollable-table-container")) {
      words.push(next);
      next = next.nextElementSibling;
    }
    return [...outputs, ...words];
  }

  function draw(box, number) {
    const data = box.querySelector(".book-predict-data").dataset;
    const lists = [...box.querySelectorAll(":scope > ol")];
    const question = data.answer || number + data.right;
    const veiled = veiledBy(box, Number(data.veils));
    const said = make("p", { class: "book-said", role: "status", tabindex: "-1" });
    const curtain = make("div", { class: "book-curtain" });
    let open = false;

    const lift = (focused) => {
      if (open) return;
      open = true;
      veiled.forEach((node) => node.classList.remove("book-veiled"));
      curtain.remove();
      if (!box.querySelector(":disabled")) box.querySelector(".book-answer")?.removeAttribute("hidden");
      if (focused && veiled.length) {
        veiled[0].tabIndex = -1;
        veiled[0].focus({ preventScroll: true });
      }
    };
    opened.push(lift);

    // What a cell of the page computed; none if the author marked the letters.
    const settled = data.answer
      && document.querySelector(`[data-ct-answer="${CSS.escape(data.answer)}"]`);
    const solution = (settled ? settled.dataset.ctRight : data.right).split(" ");
    const reason = settled ? (/ \(.*\)$/s.exec(settled.textContent) || [""])[0] : "";
    const answered = (letters, fresh) => {
      const hits = letters.filter((letter, place) => letter === solution[place]).length;
      lists.forEach((list, place) => [...list.children].forEach((item, at) => {
        const letter = String.fromCharCode(65 + at);
        item.querySelector("input").disabled = true;
        item.querySelector("input").checked = letter === letters[place];
        if (letter === solution[place]) item.classList.add("book-is-right");
        else if (letter === letters[place]) item.classList.add("book-is-wrong");
      }));
      counted.hits += hits;
      counted.asked += lists.length;
      const verdict = lists.length > 1 ? `${hits} of ${lists.length} right`
        : hits ? "Right" : "Not so";
      said.textContent = `${verdict}. You said ${letters.join(", ")}; the page finds `
        + `${solution.join(", ")}${reason}. ${score()}`;
      box.querySelector(".book-compare").remove();
      lift(false);
      if (fresh) said.focus({ preventScroll: true });
    };

    lists.forEach((list, place) => {
      const name = `predict-${number}-${place}`;
      const about = lists.length > 1 ? `, question ${place + 1}` : "";
      const group = make("div", { role: "radiogroup", "aria-label": `Your prediction${about}` });
      list.before(group);
      group.append(list);
      [...list.children].forEach((item, at) => {
        const holder = item.querySelector("p") || item;
        const value = String.fromCharCode(65 + at);
        const input = make("input", { type: "radio", name, value });
        holder.append(make("label", {}, input, make("span", {}, ...holder.childNodes)));
      });
    });
    box.append(make("button", { type: "button", class: "book-compare", click() {
      const letters = lists.map((list) => (list.querySelector("input:checked") || {}).value);
      if (letters.some((letter) => !letter)) {
        said.textContent = lists.length > 1 ? "Choose one answer to each question first."
          : "Choose one first.";
        return;
      }
      keep(question, letters);
      answered(letters, true);
    } }, "Compare"), said);
    box.querySelector(".book-answer")?.setAttribute("hidden", "");
    if (veiled.length) {
      veiled.forEach((node) => node.classList.add("book-veiled"));
      const button = (words, click) => make("button", { type: "button", click }, words);
      curtain.append(
        make("p", {}, "What comes here waits for your prediction above."),
        button("Show without answering", () => lift(true)),
        button("Show all on this page", () => {
          opened.forEach((each) => each !== lift && each(false));
          lift(true);
        }));
      veiled[0].before(curtain);
    }
    const before = kept[question];
    if (Array.isArray(before) && before.length === lists.length
      && before.every((letter, at) => lists[at].children[String(letter).charCodeAt(0) - 65])) {
      answered(before, false);
    }
    return { veiled, lift };
  }

  const drawn = boxes.map(draw);

  addEventListener("beforeprint", () => {
    document.querySelectorAll(".book-answer").forEach((answer) => { answer.open = true; });
  });

  // A link to something under a veil lifts it.
  const target = () => {
    let aim = null;
    try { aim = document.getElementById(decodeURIComponent(location.hash.slice(1))); } catch { /**/ }
    for (const { veiled, lift } of drawn) {
      if (aim && veiled.some((node) => node.contains(aim))) {
        lift(false);
        aim.scrollIntoView();
      }
    }
  };
  target();
  addEventListener("hashchange", target);
})();
