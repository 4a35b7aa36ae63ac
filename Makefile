# make reproduce   train everything of the profile that fits this machine, run the notebooks, build and compare the book
# make test        the test suite
# make book        render the published results; nothing is trained
PYTHON  ?= python3
PROFILE ?= auto
JOBS    ?= $(or $(REPLICATION_JOBS),auto)
BUDGET  ?=
PORT    ?= 8000
BIN     := .venv/bin
READY   := .venv/.ready
export REPLICATION_JOBS := $(JOBS)
# read by the shell, since what a person writes may hold a space or an apostrophe
export PROFILE BUDGET
# cold every time: an incremental -W build forgets the warnings of the one before
build    = rm -rf build/$(1)/_build && $(BIN)/python $(BIN)/jupyter-book build build/$(1)/src --path-output build/$(1) -q -n -W --keep-going

# a lent box has torch and no time: its own Python will do where there is no .venv
BARE    := $(if $(wildcard $(READY)),$(BIN)/python,$(PYTHON))

.PHONY: gpu reproduce pages test ordeal book serve look bench publish lint clean pdf

# it trains for as long as the profile says, BUDGET=20m for so long, BUDGET=none to the end; the book tells of what there is
# by then, and the same command goes on
reproduce: export REPLICATION_READ := mine
reproduce: $(READY)
	$(BIN)/python -m replication run --profile "$${PROFILE:-auto}" --budget "$${BUDGET:-profile}"
	@$(MAKE) --no-print-directory pages

# nothing is trained: the book of the runs that are in out/, also those that came by import
pages: export REPLICATION_READ := mine
pages: $(READY)
	@echo "Now the pages and the book: some minutes on two cores."
	REPLICATION_TRAIN=none $(BIN)/python book/_tools/execute.py "$${PROFILE:-auto}"
	$(BIN)/python book/_tools/stage.py --from out
	@$(BIN)/python book/_ext/runtime.py build
	@$(call build,reproduced)
	@$(BIN)/python -m replication compare build/reproduced/_build/html/index.html

test: $(READY)
	$(BIN)/python -m pytest

# by hand, half an hour: kills, full disks, crowds, strangers (tests/ordeal)
ordeal: $(READY)
	$(BIN)/python -m tests.ordeal

book: $(READY)
	$(BIN)/python book/_tools/stage.py --from results
	@$(BIN)/python book/_ext/runtime.py build
	@$(call build,published)
	@echo "The book: build/published/_build/html/index.html"

# one PDF of the whole book, printed by Chromium from the same sources
pdf: book
	$(BIN)/python $(BIN)/jupyter-book build build/published/src --path-output build/published --builder singlehtml -q -n -W --keep-going
	$(BIN)/python book/_tools/pdf.py build/published/_build/singlehtml/index.html build/published/_build/html

serve: book
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory build/published/_build/html $(PORT)

look: book
	$(BIN)/python book/_tools/check_links.py build/published/_build/html
	$(BIN)/python book/_tools/check_site.py build/published/_build/html --shots build/shots

# what works there, how fast, then the runs of gpu-shapes, gpu and gpu-long for as long as BUDGET says (10m); packs it all
gpu:
	@$(BARE) -c 'import torch, torchvision, lightning, pandas, scipy, sklearn, filelock, tqdm, yaml' || { echo 'This Python lacks a package (above): install it, or run make $(READY), which makes .venv.'; exit 1; }
	$(BARE) -m replication gpu --budget "$${BUDGET:-10m}"

bench: $(READY)
	$(BIN)/python -m replication bench --roofline
	$(BIN)/python -m replication bench --savings
	$(BIN)/python -m replication bench --streaming
	$(BIN)/python -m replication bench --latency
	$(BIN)/python -m replication bench --sparsity
	$(BIN)/python -m replication bench

# the maintainers' command: takes finished work over from out/ to results/
publish: $(READY)
	$(BIN)/python -m replication publish --profile "$${PROFILE:-auto}"

lint: $(READY)
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy
	$(BIN)/python book/_tools/lint_prose.py

clean:
	rm -rf build "$${REPLICATION_OUT:-out}/failed" .mypy_cache .ruff_cache .pytest_cache

# .ready is written last: an interrupted set-up is simply carried on
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 11) <= v <= (3, 13) or sys.exit("Python %d.%d is not supported: run make PYTHON=python3.12 (3.11 to 3.13 will do)." % v)'
	@echo "Making .venv from requirements.lock (several GB with CUDA's libraries; minutes) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
