// What every widget here needs; fragment.py puts it before the widget's own script.

function element(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (value != null) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

// Explicit marks first (Sphinx themes, JupyterLab, VS Code, Colab); a page without any is dark
// when the text it hands down is light, which also covers prefers-color-scheme.
function pageTheme(host) {
  const root = document.documentElement;
  const body = document.body;
  const marked = root.dataset.theme || root.getAttribute("theme");
  if (marked === "light" || marked === "dark") return marked;
  const jupyter = body.dataset.jpThemeLight;
  if (jupyter) return jupyter === "false" ? "dark" : "light";
  if (body.classList.contains("vscode-dark")) return "dark";
  if (body.classList.contains("vscode-light")) return "light";
  const [r, g, b] = (getComputedStyle(host).color.match(/[\d.]+/g) || [0, 0, 0]).map(Number);
  return 0.299 * r + 0.587 * g + 0.114 * b > 140 ? "dark" : "light";
}

function followTheme(host, apply) {
  const update = () => apply(pageTheme(host));
  const observer = new MutationObserver(update);
  const watched = { attributes: true, attributeFilter: ["data-theme", "theme", "class",
    "data-jp-theme-light"] };
  observer.observe(document.documentElement, watched);
  observer.observe(document.body, watched);
  const preference = matchMedia("(prefers-color-scheme: dark)");
  preference.addEventListener("change", update);
  update();
  return () => {
    observer.disconnect();
    preference.removeEventListener("change", update);
  };
}
