# `make demo` and `make test` need nothing but Python and make. CONTRIBUTING.md lists all targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SETUP := $(VENV)/.set-up

# Most tests of real processes wait more than they compute: two at a time for each core.
WORKERS = $(shell $(PYTHON) -c 'import os; print(2 * (os.cpu_count() or 1))')
PYTEST = $(BIN)/pytest -n $(WORKERS) --dist worksteal
STRESS = PYTHONPATH=tests $(BIN)/python tests/stress

.PHONY: demo test test-all test-unit lint mutants soak torture reloads herd listing-cost disk-faults \
	syslog-losses syslog-speed image-steps breakage docs clean

demo: $(SETUP)
	$(BIN)/tailer demo

# About four minutes on two cores. Tests with the mark `long` are left to `make test-all`, which
# CI runs; a quick test stands for each of their promises. Long are:
# - ten thousand hostile lines through real syslog receivers (quick: one thousand),
# - outages of minutes under load (quick: 15 seconds),
# - hours of denied requests (quick: tests/unit/daemon, tests/unit/discovery),
# - series of kills, reloads and broken parts of real processes (quick: one of each kind),
# - many short executions of real processes (quick: sixty in virtual time, tests/daemon),
# - a backlog of 50,000 lines, two thousand listed executions (quick: tests/unit),
# - further cases of a table: flags, selectors, recipes of docs/ci.md, crashes between system calls.
test: $(SETUP)
	$(PYTEST) -m "not long"

test-all: $(SETUP)
	$(PYTEST)

# What does not need real processes or receivers: for further versions of Python.
test-unit: $(SETUP)
	$(PYTEST) -m "not long" tests/unit tests/contract

lint: $(SETUP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell

docs: $(SETUP)
	$(BIN)/python docs/generate.py

mutants: $(SETUP)
	$(STRESS)/mutate_the_core.py

torture: $(SETUP)
	$(STRESS)/kill_at_random.py

reloads: $(SETUP)
	$(STRESS)/reload_under_load.py

herd: $(SETUP)
	$(STRESS)/many_executions.py

listing-cost: $(SETUP)
	$(STRESS)/cost_of_listing.py

disk-faults: $(SETUP)
	$(STRESS)/break_the_disk.py

syslog-speed: $(SETUP)
	$(BIN)/python benchmarks/syslog_format.py

syslog-losses: $(SETUP)
	$(STRESS)/kill_syslog_receivers.py

image-steps: $(SETUP)
	$(STRESS)/follow_image_steps.py

breakage: $(SETUP)
	$(STRESS)/break_each_part.py

soak: $(SETUP)
	$(STRESS)/follow_through_faults.py

$(SETUP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("tailer needs Python 3.11 or newer, and $(PYTHON) is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist
