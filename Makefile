# Every target does its own set-up: a virtual environment with what pyproject.toml asks for, and the
# torch of constraints.txt. On Linux PyPI has it with CUDA alone: 19 packages more, about 5 GB. For
# the CPU build, TORCH_INDEX names a wheel index that has it, or a folder with its wheel:
#     make demo TORCH_INDEX=...
PYTHON ?= python3
TORCH_INDEX ?=
TORCH_FROM := $(if $(TORCH_INDEX),$(if $(wildcard $(TORCH_INDEX)),--find-links,--extra-index-url) '$(TORCH_INDEX)')
ifneq ($(TORCH_INDEX),)
ifeq ($(wildcard $(TORCH_INDEX))$(findstring ://,$(TORCH_INDEX)),)
$(error TORCH_INDEX is '$(TORCH_INDEX)', which is neither a folder that exists nor an address with ://)
endif
endif
VENV := .venv
BIN := $(VENV)/bin

.PHONY: setup test test-slow test-machines lint demo serve site bench clean

setup: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(if $(TORCH_INDEX),,@echo "torch comes from where pip looks; PyPI has it for Linux with CUDA, about 5 GB: see README.md, Install, for the CPU build")
	$(BIN)/python -m pip install --quiet --constraint constraints.txt $(TORCH_FROM) torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

test: setup lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -q -m "not slow"

test-slow: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -q -m slow

# The tests as other processors compute: torch without vector instructions and with AVX2, oneDNN
# with AVX2 at most, one and two threads. Threads wait passively, which changes no number and is
# twice as fast where others use the processors too.
test-machines: setup
	@for capability in default avx2; do for threads in 1 2; do \
		export ATEN_CPU_CAPABILITY=$$capability ONEDNN_MAX_CPU_ISA=AVX2 OMP_NUM_THREADS=$$threads; \
		echo "== ATEN_CPU_CAPABILITY=$$capability OMP_NUM_THREADS=$$threads"; \
		OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest -n $$((2 / threads)) --dist worksteal -q -m "not slow" || exit 1; \
	done; done

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

demo: setup
	$(BIN)/hearsight demo

serve: setup
	$(BIN)/hearsight serve

# The pages of docs/ and a reference from docstrings in build/site, which needs no network to be read.
site: $(VENV)/site-installed
	$(BIN)/python -m sphinx -W --keep-going -q -b html -c docs/site docs build/site
	@echo "build/site/index.html"

$(VENV)/site-installed: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[site]'
	touch $@

# What needs no GPU; python benchmarks/gpu.py is for a machine that has one.
BENCHMARKS := train_step precision loader transforms curriculum stores scenes evaluation localise painting media_memory \
	retrieval vggsound_import indexing fused_convolution

bench: setup
	@for name in $(BENCHMARKS); do \
		echo "== $$name"; $(BIN)/python benchmarks/$$name.py || exit 1; \
	done

clean:
	rm -rf $(VENV) build dist
