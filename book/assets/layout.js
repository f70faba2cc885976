// What waits for its layout (book.css) gets it while the reader's browser is idle, one piece after
// another: soon nothing of a page is missing from a screenshot, and nothing below moves any more.
addEventListener("load", () => {
  const waiting = [...document.querySelectorAll(".bd-article :is(section > dl.py, div.cell_output)")];
  const some = (deadline) => {
    while (waiting.length && deadline.timeRemaining() > 10) {
      const next = waiting.shift();
      next.style.contentVisibility = "visible";
      next.getBoundingClientRect(); // its layout now, and not that of all at once
    }
    if (waiting.length) requestIdleCallback(some);
  };
  globalThis.requestIdleCallback?.(some); // without it, a piece waits until it is reached
});
