# hashtagd: `make run FOLDER=~/ComfyUI` starts it, `make test` runs the tests.
# Needs Python 3.11 to 3.13, pip, git and make; everything else goes into .venv.

# The first of these that is new enough is taken; PYTHON=/path/to/python chooses another one.
PYTHONS := $(or $(PYTHON),python3 python3.13 python3.12 python3.11)
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help run test long lint check bench clean

help:
	@echo 'make run FOLDER=~/ComfyUI   watch a folder (a ComfyUI folder, a models folder, or any folder)'
	@echo 'make test                   run the tests'
	@echo 'make long                   every kill point, 10,000 interleavings, and a file of 2 GB that grows for a minute'
	@echo 'make check                  lint, types and tests: what CI runs'
	@echo 'make bench                  measure, and print every figure beside its goal'
	@echo 'make clean                  remove what make made'

# Make hands FOLDER over in the environment, so a name with spaces or quotes arrives whole.
run: $(VENV)/.ready
	@case "$$FOLDER" in \
	  '') echo 'Which folder? For example: make run FOLDER=~/ComfyUI' >&2; exit 2 ;; \
	  '~') FOLDER="$$HOME" ;; \
	  '~/'*) FOLDER="$$HOME/$${FOLDER#??}" ;; \
	esac; \
	exec $(BIN)/hashtagd run "$$FOLDER"

# Every branch of core and catalog must be reached by their own tests; to trace all the others takes as long as they do,
# and half of what these do is waiting.
COVERING := tests/core tests/catalog tests/property
# These lower limits of the whole machine for a moment: a test beside them would lose its events.
ALONE := tests/watch/test_observer_limits.py
test: $(VENV)/.ready-dev
ifeq ($(ARGS),)
	$(BIN)/python -m pytest -n 3 --cov --cov-report=term $(COVERING)
	$(BIN)/python -m pytest $(ALONE)
	$(BIN)/python -m pytest -n 6 $(addprefix --ignore=,$(COVERING) $(ALONE)) tests
else
	$(BIN)/python -m pytest -n 3 $(ARGS)
endif

# Every kill point instead of every tenth, 200 random kills, 50 of a restore, a file of 2 GB that grows for a minute,
# 10,000 random interleavings with what others do, and links at every name for thousands of publishings.
LONG := tests/crash tests/e2e/test_real_library.py tests/e2e/test_arrivals.py tests/e2e/test_restore_library.py tests/property/test_interleavings.py tests/stages/test_attacks.py
long: $(VENV)/.ready-dev
	HASHTAGD_LONG=1 $(BIN)/python -m pytest -n 2 $(LONG) $(ARGS)

# Types are checked once for each system, side by side, each with what it remembers of the last time.
SYSTEMS := linux win32 darwin
lint: $(VENV)/.ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@$(MAKE) --no-print-directory --output-sync=target --jobs=$(words $(SYSTEMS)) $(addprefix types-,$(SYSTEMS))

$(addprefix types-,$(SYSTEMS)): types-%:
	$(BIN)/mypy --platform $* --cache-dir .mypy_cache/$*

check: lint test

bench: $(VENV)/.ready-dev
	$(BIN)/python -m bench.run $(ARGS)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .coverage.* bench/out dist build

# A Python without ensurepip (Debian without python3-venv) fills the environment with its own pip.
$(VENV)/bin/python:
	@for python in $(PYTHONS); do \
	  "$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null || continue; \
	  echo "Making $(VENV) with $$("$$python" --version)"; \
	  "$$python" -m venv --clear $(VENV) >/dev/null 2>&1 && exit 0; \
	  "$$python" -m venv --clear --without-pip $(VENV) && exit 0; \
	  rm -rf $(VENV); exit 1; \
	done; \
	echo 'hashtagd needs Python 3.11, 3.12 or 3.13, and none of these is one: $(PYTHONS)' >&2; \
	echo 'Install one, or name it: make run PYTHON=/path/to/python3.12 FOLDER=...' >&2; \
	exit 1

$(VENV)/.ready: pyproject.toml | $(VENV)/bin/python
	$(call install,.)
	@touch $@

$(VENV)/.ready-dev: pyproject.toml | $(VENV)/bin/python
	$(call install,.[dev])
	@touch $@ $(VENV)/.ready

define install
	@if [ -x $(BIN)/pip ]; then $(BIN)/pip install --quiet --editable '$(1)'; else \
	  for python in $(PYTHONS); do \
	    "$$python" -m pip --version >/dev/null 2>&1 || continue; \
	    exec "$$python" -m pip --python $(BIN)/python install --quiet --editable '$(1)'; \
	  done; \
	  echo 'There is no pip for this Python; install python3-venv or python3-pip.' >&2; exit 1; \
	fi
endef
