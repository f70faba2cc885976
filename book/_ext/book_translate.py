"""One page's MyST Markdown, turned into what a plain notebook shows.

Admonitions become quotes, exercises and solutions fold, citations and cross-references become links
to the paper or to the published page. What has no translation raises ``UntranslatableError`` with
the page and the name of the directive or role, because the reader of the notebook would see it raw.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape

from book_address import BRANCH, PLACEHOLDER
from book_index import OPENING, Book, UntranslatableError, options_of
from pybtex.database import Entry

ADMONITIONS = (
    "admonition", "attention", "caution", "danger", "error", "hint", "important", "note",
    "seealso", "tip", "warning",
)  # fmt: skip
PLAIN_FENCE = re.compile(r"^ *(?P<fence>`{3,}|~{3,})(?!\{)[^`]*$")
ROLE = re.compile(r"\{(?P<name>[a-z:]+)\}(?P<ticks>`+)(?P<body>.+?)(?P=ticks)", re.DOTALL)
TITLED = re.compile(r"^(?P<text>.*?)\s*<(?P<target>[^<>]+)>$", re.DOTALL)
PAGE_LINK = re.compile(r"(?<!!)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)")
LABELLED_MATH = re.compile(r"\$\$(?P<body>.+?)\$\$ *\((?P<label>[\w:-]+)\)", re.DOTALL)


def cite(entry: Entry, textual: bool) -> str:
    """``Chen et al. (2020)`` or ``Chen et al., 2020``, linked to the paper where it has a link."""
    people = [
        " ".join(person.prelast_names + person.last_names) for person in entry.persons["author"]
    ]
    people = [re.sub(r"[{}]", "", re.sub(r"\\.\{?(\w)\}?|\\\w+ ?", r"\1", who)) for who in people]
    if len(people) == 1:
        who = people[0]
    else:
        who = f"{people[0]} and {people[1]}" if len(people) == 2 else f"{people[0]} et al."
    year = entry.fields["year"]
    words = f"{who} ({year})" if textual else f"{who}, {year}"
    doi = entry.fields.get("doi")
    link = entry.fields.get("url") or (f"https://doi.org/{doi}" if doi else "")
    return f"[{words}]({link})" if link else words


class Translator:
    """One page's Markdown, turned into what a notebook shows."""

    def __init__(self, book: Book, page: str) -> None:
        self.book = book
        self.page = page
        self.roles: dict[str, Callable[[str, str | None], str]] = {
            "term": self._term,
            "cite:p": lambda keys, _: "(" + "; ".join(self._cite(keys, textual=False)) + ")",
            "cite:t": lambda keys, _: ", ".join(self._cite(keys, textual=True)),
            "cite": lambda keys, _: "(" + "; ".join(self._cite(keys, textual=False)) + ")",
            "eq": self._equation,
            "ref": self._ref,
            "numref": self._ref,
            "doc": self._doc,
            "math": lambda body, _: f"${body}$",
            "code": lambda body, _: f"`{body}`",
            "kbd": lambda body, _: f"<kbd>{escape(body)}</kbd>",
            "sub": lambda body, _: f"<sub>{escape(body)}</sub>",
            "sup": lambda body, _: f"<sup>{escape(body)}</sup>",
        }
        for name in ("func", "class", "mod", "meth", "data", "attr", "obj", "exc"):
            self.roles[name] = self.roles[f"py:{name}"] = self._api

    def fail(self, what: str) -> UntranslatableError:
        return UntranslatableError(f"book/{self.page}.md: no translation for {what}")

    # -- inline ----------------------------------------------------------------------------------

    def inline(self, text: str) -> str:
        text = LABELLED_MATH.sub(self._labelled_math, text)
        text = ROLE.sub(self._role, text)
        text = PAGE_LINK.sub(self._link, text)
        return text.replace(PLACEHOLDER, self.book.url)

    def _role(self, match: re.Match[str]) -> str:
        name, body = match["name"], " ".join(match["body"].split())
        if name not in self.roles:
            raise self.fail(f"the role {{{name}}}")
        titled = TITLED.match(body)
        if titled and name not in ("math", "code"):
            return self.roles[name](titled["target"], titled["text"])
        return self.roles[name](body, None)

    def _term(self, term: str, text: str | None) -> str:
        anchor = "term-" + re.sub(r"[^A-Za-z0-9]+", "-", term).strip("-")
        return f"[{text or term}]({self.book.page('glossary', anchor)})"

    def _cite(self, keys: str, textual: bool) -> list[str]:
        found = []
        for key in keys.split(","):
            if key.strip() not in self.book.papers:
                raise self.fail(f"the citation {key.strip()!r}, which references.bib does not have")
            found.append(cite(self.book.papers[key.strip()], textual))
        return found

    def _equation(self, label: str, _: str | None) -> str:
        if label not in self.book.equations:
            raise self.fail(f"the equation {label!r}, which no page defines")
        page, number = self.book.equations[label]
        if page == self.page:
            return f"({number})"
        return f"[({number})]({self.book.page(page, f'equation-{label}')})"

    def _ref(self, label: str, text: str | None) -> str:
        if label not in self.book.labels:
            raise self.fail(f"the reference {label!r}, which no page defines")
        page = self.book.labels[label]
        number = self.book.exercises.get(label)
        words = text or (f"Exercise {number}" if number else self.book.titles[page])
        return f"[{words}]({self.book.page(page, label)})"

    def _doc(self, name: str, text: str | None) -> str:
        if name not in self.book.titles:
            raise self.fail(f"the page {name!r}, which _toc.yml does not list")
        return f"[{text or self.book.titles[name]}]({self.book.page(name)})"

    def _api(self, target: str, text: str | None) -> str:
        short = target.startswith("~")
        target = target.lstrip("~")
        words = text or (target.rpartition(".")[2] if short else target)
        if not target.startswith("contrastive_tutorial"):
            return f"`{words}`"
        return f"[`{words}`]({self.book.page('api', target)})"

    def _link(self, match: re.Match[str]) -> str:
        target = match["target"]
        if re.match(r"^([a-z]+:|#)", target):
            return match[0]
        path, _, anchor = target.partition("#")
        name = path.removesuffix(".md").removesuffix(".html")
        if name in self.book.titles:
            return f"[{match['text']}]({self.book.page(name, anchor)})"
        return f"[{match['text']}]({self._file(path)})"

    def _file(self, path: str) -> str:
        """A file of the repository, named relative to ``book/``."""
        parts: list[str] = ["book"]
        for part in path.split("/"):
            if part == "..":
                parts.pop()
            elif part != ".":
                parts.append(part)
        return f"{self.book.url}/blob/{BRANCH}/{'/'.join(parts)}"

    def _labelled_math(self, match: re.Match[str]) -> str:
        _, number = self.book.equations[match["label"]]
        return f"$$\n{match['body'].strip()} \\tag{{{number}}}\n$$"

    # -- blocks ----------------------------------------------------------------------------------

    def blocks(self, lines: list[str]) -> list[str]:
        out: list[str] = []
        prose: list[str] = []

        def flush() -> None:
            if prose:
                out.extend(self._prose(prose))
                prose.clear()

        i = 0
        while i < len(lines):
            opening, plain = OPENING.match(lines[i]), PLAIN_FENCE.match(lines[i])
            if opening is None and plain is None:
                prose.append(lines[i])
                i += 1
                continue
            flush()
            fence = (opening or plain)["fence"]  # type: ignore[index]
            end = i + 1
            closing = re.compile(rf"^ *{re.escape(fence[0])}{{{len(fence)},}} *$")
            while end < len(lines) and not closing.match(lines[end]):
                end += 1
            if end == len(lines):
                raise self.fail(f"a fence that is never closed: {lines[i]!r}")
            if opening is None:
                out += [line.replace(PLACEHOLDER, self.book.url) for line in lines[i : end + 1]]
            else:
                out += self._directive(opening["name"], opening["arg"], lines[i + 1 : end])
            i = end + 1
        flush()
        return out

    def _prose(self, lines: list[str]) -> list[str]:
        kept = [
            line
            for line in lines
            if not (line.startswith("%") or re.match(r"^\([\w:-]+\)=$", line))
        ]
        text = self.inline("\n".join(kept))
        # A definition list, which notebooks do not know: "term" over ": definition".
        text = re.sub(r"(?m)^(?![-*>|#: ])(.+)\n: +(.+)$", r"- **\1.** \2", text)
        return text.split("\n")

    def _directive(self, name: str, argument: str, body: list[str]) -> list[str]:
        options = dict(re.findall(r":([\w-]+): *(.*)", "\n".join(options_of(body))))
        body = body[len(options_of(body)) :]
        while body and not body[0].strip():
            body = body[1:]
        title = self.inline(argument)
        if name in ADMONITIONS:
            heading = title or ("See also" if name == "seealso" else name.capitalize())
            return self._box(heading, body, "dropdown" in options.get("class", ""))
        if name == "predict":
            return self._prediction(options.get("right", ""), body)
        if name == "dropdown":
            return self._box(title, body, folded=True)
        if name in ("margin", "sidebar"):
            return self._box(title or "Aside", body, folded=False)
        if name in ("exercise", "exercise-start"):
            heading = f"Exercise {self.book.exercises[options['label']]}"
            return self._box(heading + (f" ({title})" if title else ""), body, folded=False)
        if name == "solution":
            return self._box("Solution", body, folded=True)
        if name in ("exercise-end", "solution-end", "solution-start"):
            return []
        if name == "math":
            label = options.get("label")
            tag = f" \\tag{{{self.book.equations[label][1]}}}" if label else ""
            return ["$$", *body[:-1], body[-1] + tag, "$$"]
        if name in ("figure", "image"):
            source = self._file(argument).replace("/blob/", "/raw/")
            picture = f"![{options.get('alt', '')}]({source})"
            return [picture, "", *self.blocks(body)] if name == "figure" else [picture]
        if name == "code-block":
            return [f"```{argument}", *body, "```"]
        raise self.fail(f"the directive {{{name}}}")

    def _prediction(self, right: str, body: list[str]) -> list[str]:
        """Choices with their letters; the right ones, where the page marks them, folded away."""
        lettered, letters = [], iter(())
        for line in body:
            if line.startswith("- "):
                line = f"- **{next(letters)}.** {line[2:]}"
            elif line.strip() and not line.startswith(" "):
                letters = iter("ABCDEF")
            lettered.append(line)
        if right:
            words = ", ".join(right.split())
            lettered += ["", f"<details><summary>Answer</summary>{words}</details>"]
        return self._box("Predict", lettered, folded=False)

    def _box(self, title: str, body: list[str], folded: bool) -> list[str]:
        inside = self.blocks(body)
        while inside and not inside[-1].strip():
            inside.pop()
        if folded:
            return [*fold(title, inside), ""]
        quoted = [f"> {line}".rstrip() for line in ["", *inside]]
        return [f"> **{title}**", *quoted, ""]


def fold(title: str, inside: list[str]) -> list[str]:
    # Markdown inside an HTML block is only read after a blank line.
    return ["<details>", f"<summary><b>{title}</b></summary>", "", *inside, "", "</details>"]
