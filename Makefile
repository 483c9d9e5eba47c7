# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SETUP := $(VENV)/.set-up

.PHONY: demo test lint mutants soak torture reloads herd listing-cost disk-faults syslog-losses syslog-speed image-steps breakage docs clean

demo: $(SETUP)
	$(BIN)/tailer demo

test: $(SETUP)
	$(BIN)/pytest -n auto --dist worksteal

lint: $(SETUP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell

docs: $(SETUP)
	$(BIN)/python docs/generate.py

mutants: $(SETUP)
	$(BIN)/python tests/mutants.py

torture: $(SETUP)
	$(BIN)/python tests/torture.py

reloads: $(SETUP)
	$(BIN)/python tests/reloads.py

herd: $(SETUP)
	$(BIN)/python tests/herd.py

listing-cost: $(SETUP)
	$(BIN)/python tests/listing_cost.py

disk-faults: $(SETUP)
	$(BIN)/python tests/disk_faults.py

syslog-speed: $(SETUP)
	$(BIN)/python tests/syslog_speed.py

syslog-losses: $(SETUP)
	$(BIN)/python tests/syslog_losses.py

image-steps: $(SETUP)
	PYTHONPATH=tests $(BIN)/python tests/image_steps.py

breakage: $(SETUP)
	$(BIN)/python tests/breakage.py

soak: $(SETUP)
	$(BIN)/python tests/soak.py

$(SETUP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("tailer needs Python 3.11 or newer, and $(PYTHON) is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist
