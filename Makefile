# Names for the routine jobs. Each does one thing by calling a script; nothing is decided here.
#   make demo    a network of four institutions on this machine, a verified receipt and a refused forgery
#   make test    the whole gate, as continuous integration runs it
#   make check   the quick part of the gate, for every commit
#   make bench   throughput and latency on this machine
#   make setup   the virtual environment (.venv), installed from the hash-checked lock; repeats only what changed
#   make lock    resolve the lock files anew; UPGRADE=1 takes newer versions, else present pins stay
#   make protos  regenerate the committed stubs
#   make clean   remove what make made (data of a development network stays: `tiezheng dev reset`)
SHELL := /bin/sh
PY := .venv/bin/python
# The interpreter that makes the environment: python3 if it is new enough, else the first that is. Override: make PYTHON=...
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)

.PHONY: setup demo test check bench lock protos clean

setup:
	@test -n "$(PYTHON)" || { echo "setup: no Python 3.11 or newer found; install one or say make PYTHON=/path/to/python3" >&2; exit 3; }
	@"$(PYTHON)" -m scripts.setup

demo: setup
	@$(PY) -m scripts.demo

test: setup
	@$(PY) -m scripts.check

check: setup
	@$(PY) -m scripts.check --fast

bench: setup
	@$(PY) -m scripts.bench

lock:
	@"$(PYTHON)" -m scripts.setup.lock $(if $(UPGRADE),--upgrade)

protos: setup
	@$(PY) -m scripts.gen_protos

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis htmlcov .coverage .coverage.* build dist
	find . -name __pycache__ -type d -not -path './.git/*' -exec rm -rf {} +
