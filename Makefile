# Set-up happens once, in .venv; it is done again when the lock or the declared packages change.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready

.PHONY: run test lint setup bench clean

run: setup
	"$(VENV)/bin/edgebuild" --target rpi4

test: setup
	"$(VENV)/bin/pytest"

lint: setup
	"$(VENV)/bin/ruff" check . && "$(VENV)/bin/ruff" format --check .
	"$(VENV)/bin/mypy" && "$(VENV)/bin/lint-imports"

setup: $(READY)

$(READY): pyproject.toml requirements.lock scripts/setup
	scripts/setup "$(PYTHON)" "$(VENV)"

bench: setup
	"$(VENV)/bin/python" -m benchmarks

clean:
	rm -rf $(VENV) .edgebuild dist build
