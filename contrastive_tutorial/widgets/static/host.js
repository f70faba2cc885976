// What a front end gives an AFM module (https://anywidget.dev/en/afm), without a kernel behind it.
// Outputs are found by a data attribute and marked once drawn: the same output may stand in a page
// twice, and some front ends run every script of an output again when it is shown again.
(function () {
"use strict";
const afm = (function () {
/*MODULE*/
})();
function makeModel(state) {
  return {
    get: (name) => state[name],
    set(name, value) { state[name] = value; },
    on() {},
    off() {},
    save_changes() {},
  };
}
const mark = '[data-ct-widget="/*KEY*/"]';
function everywhere(scope) { // a front end may keep its outputs in a shadow tree
  const inside = [...scope.querySelectorAll("*")].filter((node) => node.shadowRoot);
  return [...scope.querySelectorAll(mark),
    ...inside.flatMap((node) => everywhere(node.shadowRoot))];
}
const beside = document.currentScript && document.currentScript.previousElementSibling;
const found = beside && beside.matches(mark) ? [beside] : [...document.querySelectorAll(mark)];
(found.length ? found : everywhere(document)).forEach((root) => {
  if (root.dataset.ctReady) return;
  root.dataset.ctReady = "1";
  const state = JSON.parse(root.querySelector('script[type="application/json"]').textContent);
  const el = document.createElement("div");
  const fallback = root.querySelector(".ct-fallback");
  el.textContent = fallback.textContent; // until the widget has drawn, and if it cannot
  fallback.replaceWith(el);
  afm.render({ model: makeModel(state), el });
});
})();
