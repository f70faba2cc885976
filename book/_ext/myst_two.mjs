// Jupyter Book 2 in a clone: say which version builds this book, and let the parser read every page.
// What only the Sphinx extensions beside this file can fill in becomes a short note here.

console.log(
  "This book is built with Jupyter Book 1: pip install -e '.[book]' and then make book. " +
    "Under version 2 its pages can be read, without API entries and tables of the build. Widgets " +
    "stand in pages of version 2 as modules: widgets.save_module writes one for {anywidget}."
);

const note = (name, text) => ({
  name,
  arg: { type: String },
  body: { type: String },
  run: () => [{ type: "paragraph", children: [{ type: "text", value: text }] }],
});

// The choices of a prediction stay a list.
const predict = {
  name: "predict",
  options: { right: { type: String }, answer: { type: String }, veils: { type: Number } },
  body: { type: "myst", required: true },
  run: ({ body }) => [
    {
      type: "admonition",
      kind: "admonition",
      children: [{ type: "admonitionTitle", children: [{ type: "text", value: "Predict" }] }, ...body],
    },
  ],
};

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
  const words = { type: "text", value: lines.join("\n") };
  return [
    { type: "definitionTerm", children: [{ type: "text", value: term }] },
    {
      type: "definitionDescription",
      children: [{ type: "paragraph", children: [words, ...rest] }],
    },
  ];
};

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
  transforms: [glossary],
  roles: ["py:func", "py:class", "py:meth", "py:mod"].map(code),
};
