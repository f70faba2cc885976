# Everything is reached from here: `make book` reads, `make test` trusts. Both start from nothing.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Two test processes with one thread each use two cores better than one with two.
WORKERS ?= 2

.PHONY: book test serve lint unit clean reproduce

book: $(VENV)/.book
	CONTRASTIVE_TUTORIAL_BOOK=1 PATH="$(CURDIR)/$(BIN):$$PATH" \
	  $(BIN)/jupyter-book build . -n -W --keep-going
	@echo "open _build/html/index.html, or: make serve"

test: $(VENV)/.test lint book unit

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check contrastive_tutorial tests benchmarks
	$(BIN)/mypy

unit: $(VENV)/.test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

serve: book
	@echo "http://127.0.0.1:8000 (Ctrl-C ends)"
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory _build/html 8000

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
