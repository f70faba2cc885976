// Jupyter Book 2 in a clone: say which version builds this book, let the parser read every page, and let
// executed widgets move. What only the Sphinx extensions beside this file can fill in becomes a short note.

import { readFileSync } from "node:fs";

console.log(
  "This book is built with Jupyter Book 1: pip install -e '.[book]' and then make book. Version 2 shows " +
    "its pages without API entries and the tables of the build, and with --execute, where the package " +
    "and its extra notebook are installed, also outputs and widgets."
);

// Kernels start below this process. There, as in version 1, widgets record themselves and exercises get a field.
process.env.CONTRASTIVE_TUTORIAL_BOOK ||= "1";

const settings = readFileSync(new URL("../../pyproject.toml", import.meta.url), "utf8");
const [, repository] = settings.match(/^Repository = "(.+?)(?:\.git)?\/?"$/m);

const note = (name, words) => ({
  name,
  arg: { type: String },
  body: { type: String },
  run: () => [{ type: "paragraph", children: [text(words)] }],
});

// Choices get the letters that answers name. Nothing is veiled.
const predict = {
  name: "predict",
  options: { right: { type: String }, answer: { type: String }, veils: { type: Number } },
  body: { type: "myst", required: true },
  run({ body, options }) {
    for (const list of body.filter(({ type }) => type === "list"))
      list.children.forEach((item, i) => {
        const [first] = item.children;
        const line = first.type === "paragraph" ? first : item;
        line.children.unshift(text(`${"ABCDEF"[i]}. `));
      });
    const title = { type: "admonitionTitle", children: [text("Predict")] };
    const answer = options?.right?.split(" ").join(", ");
    const folded = { type: "details", children: [{ type: "summary", children: [text("Answer")] }] };
    if (answer) folded.children.push({ type: "paragraph", children: [text(answer)] });
    const children = [title, ...body, ...(answer ? [folded] : [])];
    return [{ type: "admonition", kind: "admonition", children }];
  },
};

const text = (value) => ({ type: "text", value });

// Sphinx indents what a term means, which mystmd reads as a paragraph that begins with the term.
const glossary = {
  name: "glossary-of-version-1",
  stage: "document",
  plugin: () => (tree) => {
    const visit = (node) => {
      if (node.type === "glossary" && node.children?.some(({ type }) => type === "paragraph"))
        node.children = [{ type: "definitionList", children: node.children.flatMap(entry) }];
      else node.children?.forEach(visit);
    };
    visit(tree);
  },
};

const entry = (paragraph) => {
  const [first, ...rest] = paragraph.children ?? [];
  if (paragraph.type !== "paragraph" || first?.type !== "text")
    return [{ type: "definitionDescription", children: [paragraph] }];
  const [term, ...lines] = first.value.split("\n");
  const words = text(lines.join("\n"));
  return [
    { type: "definitionTerm", children: [text(term)] },
    {
      type: "definitionDescription",
      children: [{ type: "paragraph", children: [words, ...rest] }],
    },
  ];
};

// Transforms run after the cells.
const cells = {
  name: "cells-of-version-1",
  stage: "document",
  plugin: () => (tree) => {
    const visit = (node) => {
      if (node.type === "code") node.value = node.value.replaceAll("{{ repository }}", repository);
      if (node.type === "block" && node.data?.tags?.includes("notebook-only"))
        node.data.tags.push("remove-cell");
      const shown = node.type === "output" && node.jupyter_data?.data;
      if (shown?.["text/html"]) shown["text/html"] = linked([shown["text/html"]].flat().join(""));
      node.children?.forEach(visit);
    };
    visit(tree);
  },
};

// Other pages, which have neither a folder nor an ending here.
const linked = (html) =>
  html.replace(/((?:href=|"records":)")([\w-]+)\.html(?:#[^"]*)?"/g, '$1/$2"');

const code = (name) => ({
  name,
  body: { type: String, required: true },
  run: ({ body }) => [{ type: "inlineCode", value: body.replace(/^~?.*\./, "") }],
});

export default {
  name: "Pages of a Jupyter Book 1",
  directives: [
    predict,
    note("book-cover", ""),
    note("nb-exec-table", "The built book shows here how long each page took."),
  ],
  transforms: [glossary, cells],
  roles: ["py:func", "py:class", "py:meth", "py:mod"].map(code),
};
