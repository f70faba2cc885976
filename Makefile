# Everything is reached from here: `make book` reads, `make test` trusts. Both start from nothing.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Two test processes with one thread each use two cores better than one with two.
WORKERS ?= 2

# A page that failed would count as read, and the next build would pass without looking at it.
FORGET := rm -rf _build/.doctrees

.PHONY: book page test test-all quick serve lint unit colab pdf linkcheck constraints clean reproduce test-lowest test-latest artefact coverage faults findings

book: $(VENV)/.book
	rm -rf _build/html  # old pages and old failures would stay; what was executed is kept elsewhere
	CONTRASTIVE_TUTORIAL_BOOK=1 OMP_WAIT_POLICY=PASSIVE PATH="$(CURDIR)/$(BIN):$$PATH" \
	  $(BIN)/jupyter-book build . -n -W --keep-going || { $(FORGET); exit 1; }
	@echo "open _build/html/index.html, or: make serve"

# One page alone, with links to the others left open: make page PAGE=06
page: $(VENV)/.book
	@mkdir -p _build/page; source=$$(ls book/$(PAGE)*.md | head -n 1); test -n "$$source"; \
	printf 'format: jb-book\nroot: %s\n' "$${source%.md}" > _build/page/_toc.yml; \
	CONTRASTIVE_TUTORIAL_BOOK=1 PATH="$(CURDIR)/$(BIN):$$PATH" \
	  $(BIN)/jupyter-book build . --toc _build/page/_toc.yml --path-output _build/page
	@echo "open _build/page/_build/html/book/$(PAGE)*.html"

# With this set, tests of the built book fail, and do not skip, when it is not there.
test: export CONTRASTIVE_TUTORIAL_BUILT = 1
test: $(VENV)/.test lint book unit

# With what looks longer at the same things. Nothing else is left out of make test.
test-all: CHOSEN :=
test-all: test

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check contrastive_tutorial tests benchmarks book
	$(BIN)/mypy

CHOSEN = -m "not thorough"

unit: $(VENV)/.test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --durations=20 $(CHOSEN) tests

# Style, types, and the package's tests without those that start browsers, books or many processes.
quick: $(VENV)/.test lint
	OMP_NUM_THREADS=1 $(BIN)/python $(RUN_TESTS) -m "not slow and not browser" $(PACKAGE_TESTS)

# Serves the book that is there; make book builds it anew.
serve:
	@test -f _build/html/index.html || $(MAKE) book
	@echo "http://127.0.0.1:8000 (Ctrl-C ends)"
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory _build/html 8000

# The notebooks that the Colab buttons open. A test fails when they do not match their pages.
colab: $(VENV)/.book
	$(BIN)/python book/make_colab.py

# Surprises of other people's libraries, each shown in an environment of its own that is thrown away
# (findings/README.md). One alone: findings/NAME.sh. All of them download some gigabytes once.
findings: export PATH := $(CURDIR)/_build/environments/uv/bin:$(PATH)
findings:
	@$(PYTHON) -m venv _build/environments/uv && _build/environments/uv/bin/pip install --quiet uv
	@failed=0; for script in findings/*.sh; do started=$$(date +%s); \
	  if said=$$("$$script" 2>&1); then result=holds; else result=CHANGED; failed=1; fi; \
	  printf '%-8s %5ds  %s\n' $$result $$(($$(date +%s) - started)) "$$(basename "$$script" .sh)"; \
	  printf '%s\n' "$$said" | grep -v '^WARNING' | tail -n 3 | sed 's/^/                 /'; \
	done; exit $$failed

# The tests of the package alone, in environments of their own: neither the book nor a browser.
SCRATCH := _build/environments
PACKAGE_TESTS := tests --ignore=tests/book
RUN_TESTS := -m pytest -q -n $(WORKERS) --dist worksteal -p no:cacheprovider

# The oldest versions that pyproject.toml allows, on the oldest Python that you have.
test-lowest:
	rm -rf $(SCRATCH)/lowest
	$(PYTHON) -m venv $(SCRATCH)/lowest
	$(SCRATCH)/lowest/bin/python -m pip install --quiet uv
	$(SCRATCH)/lowest/bin/uv pip install --quiet --python $(SCRATCH)/lowest/bin/python \
	  --resolution lowest-direct '.[test]'
	OMP_NUM_THREADS=1 PYTHONPATH="$(CURDIR)" $(SCRATCH)/lowest/bin/python $(RUN_TESTS) $(PACKAGE_TESTS)

# The newest versions that there are, on any Python: what a reader gets today. A row of the field
# guide that is no longer true fails here.
test-latest:
	rm -rf $(SCRATCH)/latest
	$(PYTHON) -m venv $(SCRATCH)/latest
	$(SCRATCH)/latest/bin/python -m pip install --quiet --upgrade --upgrade-strategy eager \
	  '.[test,book,guide]'
	OMP_NUM_THREADS=1 PYTHONPATH="$(CURDIR)" $(SCRATCH)/latest/bin/python $(RUN_TESTS) $(PACKAGE_TESTS)
	CONTRASTIVE_TUTORIAL_GUIDE=1 OMP_NUM_THREADS=1 PYTHONPATH="$(CURDIR)" \
	  $(SCRATCH)/latest/bin/python $(RUN_TESTS) tests/book/test_guide.py

# Wheel and source distribution in dist/, tested where no source tree is near.
artefact:
	rm -rf $(SCRATCH)/artefact dist
	$(PYTHON) -m venv $(SCRATCH)/artefact/env
	$(SCRATCH)/artefact/env/bin/python -m pip install --quiet build
	$(SCRATCH)/artefact/env/bin/python -m build --quiet --outdir dist .
	$(SCRATCH)/artefact/env/bin/python -m pip install --quiet -c constraints.txt \
	  "$$(ls dist/*.whl)[test]"
	mkdir $(SCRATCH)/artefact/tree
	git archive HEAD | tar -x -C $(SCRATCH)/artefact/tree
	rm -r $(SCRATCH)/artefact/tree/contrastive_tutorial
	cd $(SCRATCH)/artefact/tree && OMP_NUM_THREADS=1 ../env/bin/python $(RUN_TESTS) $(PACKAGE_TESTS)

# Lines and branches that the tests reach: of the whole package, and of losses, norm and metrics,
# where a wrong number would cost most. What runs in a process of its own is not counted.
EXACT := contrastive_tutorial/losses/*,contrastive_tutorial/norm/*,contrastive_tutorial/metrics/*

coverage: $(VENV)/.test
	OMP_NUM_THREADS=1 $(BIN)/python $(RUN_TESTS) --cov --cov-report= $(PACKAGE_TESTS)
	$(BIN)/python -m coverage report --skip-covered --show-missing --fail-under=90
	$(BIN)/python -m coverage report --show-missing --fail-under=98 --include='$(EXACT)'

# tests/faults/FAULTS.md: every fault and every generated case anew. Takes an hour on two cores. The
# fuzzer that is guided by coverage runs where it is installed: pip install -e '.[fuzz]'
faults: $(VENV)/.test
	OMP_NUM_THREADS=1 $(BIN)/python tests/faults/make_faults.py --run

LATEX := latexmk xelatex
LATEX_PACKAGES := latexmk texlive-xetex texlive-latex-extra texlive-fonts-recommended fonts-freefont-otf

pdf: $(VENV)/.book
	@for tool in $(LATEX); do command -v $$tool >/dev/null || { \
	  echo "make pdf needs $$tool. On Debian and Ubuntu: apt-get install $(LATEX_PACKAGES)"; exit 1; }; done
	CONTRASTIVE_TUTORIAL_BOOK=1 OMP_WAIT_POLICY=PASSIVE PATH="$(CURDIR)/$(BIN):$$PATH" \
	  $(BIN)/jupyter-book build . --builder pdflatex
	@echo "open _build/latex/contrastive-tutorial.pdf"

linkcheck: $(VENV)/.book
	CONTRASTIVE_TUTORIAL_BOOK=1 OMP_WAIT_POLICY=PASSIVE PATH="$(CURDIR)/$(BIN):$$PATH" \
	  $(BIN)/jupyter-book build . --builder linkcheck

# After new versions have passed `make test`. What torch alone needs on one platform is left to torch.
constraints: $(VENV)/.test
	(head -1 constraints.txt; $(BIN)/python -m pip freeze --all --exclude-editable \
	  | grep -v -E '^(nvidia-|cuda-|triton|pip=|wheel=)|@') > constraints.new
	mv constraints.new constraints.txt

# One recorded run again, compared with its record: make reproduce SEED=1 DATA=PATH
CELL ?= same-bn-cross
SEED ?= 0
SUBSETS ?= 10
PRESET ?= cpu-long
DATA ?= $(CONTRASTIVE_TUTORIAL_CIFAR10)

reproduce: $(VENV)/.book
	@test -n "$(DATA)" || { echo "say where the images of the records are: make reproduce DATA=PATH"; exit 2; }
	$(BIN)/contrastive-tutorial reproduce $(CELL) --seed $(SEED) --subsets $(SUBSETS) \
	  --preset $(PRESET) --data "$(DATA)"

clean:
	rm -rf _build

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.book: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[book]'
	touch $@

$(VENV)/.test: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[book,test]'
	touch $@ $(VENV)/.book
