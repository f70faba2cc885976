#!/usr/bin/env bash
# bibtexparser leaves out the libraries and data sets of a bibliography.
# Versions: bibtexparser 1.4.4.
# Expected (a first guess): every entry of the file comes back, whatever its type.
# Seen: of five entries two: @software, @online and @dataset are types of biblatex, not of BibTeX,
# and are dropped with a line in the log. A file that is read and written again has lost them.
# BibTexParser(ignore_nonstandard_types=False) keeps all.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  bibtexparser==1.4.4 pyparsing==3.3.3
"$work/env/bin/python" -W ignore - <<'PYTHON'
import bibtexparser
from bibtexparser.bparser import BibTexParser

kinds = {"simclr": "inproceedings", "bn": "article", "timm": "software", "page": "online",
         "photos": "dataset"}
text = "\n".join(f"@{kind}{{{key}, title = {{A title}}, year = {{2020}}}}"
                 for key, kind in kinds.items())
usual = bibtexparser.loads(text)
written = bibtexparser.dumps(usual)
every = bibtexparser.loads(text, BibTexParser(ignore_nonstandard_types=False))
print("read:", sorted(usual.entries_dict), "and with the option:", sorted(every.entries_dict))
assert sorted(usual.entries_dict) == ["bn", "simclr"] and "timm" not in written
assert set(every.entries_dict) == set(kinds)
PYTHON
