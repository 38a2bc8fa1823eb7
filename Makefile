# Set-up happens once, in .venv; it is done again when the lock or the declared packages change.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready

.PHONY: run test lint setup devices bare bench clean

run: setup devices
	"$(VENV)/bin/edgebuild" --target rpi4

# In the order of their folders, which begins with the slowest file: by number of tests it would be left for the end.
test: setup
	"$(VENV)/bin/pytest" --numprocesses 2 --dist loadfile --no-loadscope-reorder

lint: setup
	"$(VENV)/bin/ruff" check . && "$(VENV)/bin/ruff" format --check .
	"$(VENV)/bin/mypy" && "$(VENV)/bin/lint-imports"

setup: $(READY)

$(READY): pyproject.toml requirements.lock scripts/setup
	scripts/setup "$(PYTHON)" "$(VENV)"

# The emulated Pi. Where it cannot be had the build says so and goes on with this machine alone.
devices: setup
	-@"$(VENV)/bin/edgebuild" devices setup

# run and test in a minimal Debian 12, as an ordinary user and as root: an hour, and needs root.
bare:
	scripts/bare

# The tests that `make test` leaves out for their time, then every benchmark: hours.
bench: setup
	"$(VENV)/bin/pytest" --numprocesses 2 -m slow
	"$(VENV)/bin/python" -m benchmarks

clean:
	rm -rf $(VENV) .edgebuild dist build
