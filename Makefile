# The two commands of the README are `make demo` and `make test`; `make help` lists the rest.
# Each target shows the commands that it stands for.

PYTHON ?= python3
VENV := .venv
TEST_VENV := .venv-test
NUMPY1_VENV := .venv-numpy1
BUILD := build/test
PYTEST_ARGS ?=
# Two more than processors, many tests wait; four at most.
TEST_JOBS ?= $(shell n=$$(nproc); echo $$((n < 2 ? n + 2 : 4)))
PARALLEL = -n $(TEST_JOBS) --dist worksteal
# A worker's numpy and torch with a thread for each processor stand in each other's way: three times the processor time.
# What Python compiled is kept, whatever the caller's environment says: the tests start a thousand processes.
WORKER = OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=
# One in three of the cases that are drawn but for `make test-full`.
SMALL = EDGESNN_DRAWN_SHARE=3
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1

STEP = @$(PYTHON) tools/step.py
PIP = -m pip install --quiet
SOURCES := $(shell find edgesnn native -name '__pycache__' -prune -o -type f ! -name '*.so' -print) CMakeLists.txt pyproject.toml LICENSE
NATIVE := $(shell find native -type f) $(wildcard fuzz/*.?pp) CMakeLists.txt
PYTHONS := $(wildcard edgesnn tests tools bench recordings examples fuzz)
BENCHES := $(shell grep -l __main__ bench/*.py bench/*/*.py)

.PHONY: help demo test test-full soak test-numpy1 native native-test stubs lint lint-types lint-style bench bench-daemon bench-events bench-tokens wheel wheels check clean fuzz sanitize logs-model aarch64 aarch64-short deb lock

help:  ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

check:
	@sh tools/check_system.sh $(PYTHON)

# --- the demo: a virtual environment with the package as a user installs it ---------------------------------------

demo: $(VENV)/.installed  ## build, install into .venv, and run `edgesnn demo`
	@echo "$$ $(VENV)/bin/edgesnn demo"
	@$(VENV)/bin/edgesnn demo

$(VENV)/.installed: $(SOURCES) | check
	$(STEP) "virtual environment" $(PYTHON) -m venv $(VENV)
	$(STEP) "build and install" $(VENV)/bin/python $(PIP) ".[broker]"
	@touch $@

# --- the tests: an environment that uses this tree, with the native module built in place -------------------------

$(TEST_VENV)/.installed: pyproject.toml tools/requirements.py tools/use_tree.py | check
	$(STEP) "virtual environment for tests" $(PYTHON) -m venv $(TEST_VENV)
	@mkdir -p build && $(TEST_VENV)/bin/python tools/requirements.py --build broker nir events tokens test bench dev > build/requirements.txt
	$(STEP) "requirements of the tests" $(TEST_VENV)/bin/python $(PIP) --no-compile -r build/requirements.txt
	@$(TEST_VENV)/bin/python tools/use_tree.py
	@touch $@

$(NUMPY1_VENV)/.installed: pyproject.toml tools/requirements.py tools/use_tree.py | check
	$(STEP) "virtual environment with numpy 1.26" $(PYTHON) -m venv $(NUMPY1_VENV)
	@mkdir -p build && $(NUMPY1_VENV)/bin/python tools/requirements.py broker nir events tokens test | grep -v '^torch' > build/requirements-numpy1.txt
	@echo 'numpy==1.26.*' >> build/requirements-numpy1.txt
	$(STEP) "requirements with numpy 1.26" $(NUMPY1_VENV)/bin/python $(PIP) --no-compile -r build/requirements-numpy1.txt
	@$(NUMPY1_VENV)/bin/python tools/use_tree.py
	@touch $@

native: $(BUILD)/.built  ## build the native module in place, and the native tests

$(BUILD)/.built: $(NATIVE) $(TEST_VENV)/.installed
	$(STEP) "configure" $(TEST_VENV)/bin/cmake -S . -B $(BUILD) -G Ninja \
	    -DCMAKE_MAKE_PROGRAM=$(CURDIR)/$(TEST_VENV)/bin/ninja -DEDGESNN_INPLACE=ON -DEDGESNN_TESTS=ON -DEDGESNN_WERROR=ON \
	    -DPython_EXECUTABLE=$(CURDIR)/$(TEST_VENV)/bin/python \
	    -DCMAKE_PREFIX_PATH=$$($(TEST_VENV)/bin/python -m pybind11 --cmakedir)
	$(STEP) "compile" $(TEST_VENV)/bin/cmake --build $(BUILD)
	@touch $@

native-test: native
	@echo "$$ ctest --test-dir $(BUILD)"
	@$(TEST_VENV)/bin/ctest --test-dir $(BUILD) -j $(TEST_JOBS) --output-on-failure --no-tests=ignore > build/native-test.log 2>&1 \
	    || { tail -n 60 build/native-test.log; exit 1; }
	@tail -n 3 build/native-test.log

test: native-test  ## install what the tests need, build, and run every test at its small size
	@EDGESNN_MOSQUITTO="$$(sh tools/get_mosquitto.sh)"; [ -z "$$EDGESNN_MOSQUITTO" ] || export EDGESNN_MOSQUITTO; \
	    echo "$$ $(WORKER) $(SMALL) $(TEST_VENV)/bin/python -m pytest $(PARALLEL) -m 'not full' $(PYTEST_ARGS)"; \
	    PATH="$(CURDIR)/$(TEST_VENV)/bin:$$PATH" $(WORKER) $(SMALL) timeout --signal=INT --kill-after=30 1500 $(TEST_VENV)/bin/python -m pytest $(PARALLEL) -m 'not full' $(PYTEST_ARGS)

test-full: native-test  ## the same with the full sizes
	@EDGESNN_MOSQUITTO="$$(sh tools/get_mosquitto.sh)"; [ -z "$$EDGESNN_MOSQUITTO" ] || export EDGESNN_MOSQUITTO; \
	    echo "$$ $(WORKER) $(TEST_VENV)/bin/python -m pytest $(PARALLEL) $(PYTEST_ARGS)"; \
	    PATH="$(CURDIR)/$(TEST_VENV)/bin:$$PATH" $(WORKER) $(TEST_VENV)/bin/python -m pytest $(PARALLEL) $(PYTEST_ARGS)

SOAK_MINUTES ?= 30
soak: native  ## the service under faults at random for SOAK_MINUTES (30): nothing accepted is lost, nothing grows
	@EDGESNN_MOSQUITTO="$$(sh tools/get_mosquitto.sh)"; [ -z "$$EDGESNN_MOSQUITTO" ] || export EDGESNN_MOSQUITTO; \
	    $(TEST_VENV)/bin/python -m tests.soak --minutes $(SOAK_MINUTES)

test-numpy1: native $(NUMPY1_VENV)/.installed  ## the tests that need no torch, with numpy 1.26
	@echo "$$ $(WORKER) $(SMALL) $(NUMPY1_VENV)/bin/python -m pytest $(PARALLEL) -m 'not full' tests/unit"
	@PATH="$(CURDIR)/$(NUMPY1_VENV)/bin:$$PATH" $(WORKER) $(SMALL) $(NUMPY1_VENV)/bin/python -m pytest $(PARALLEL) -m 'not full' tests/unit

stubs: native  ## write the types of the native module (edgesnn/_native/*.pyi) anew
	$(TEST_VENV)/bin/python tools/make_stubs.py

lint: lint-types lint-style  ## mypy --strict, the module's types; ruff, clang-format, oldest Python, layering (-j2: at once)

lint-types: native
	$(TEST_VENV)/bin/mypy --strict
	$(TEST_VENV)/bin/python tools/make_stubs.py --check

lint-style: native
	$(TEST_VENV)/bin/ruff check $(PYTHONS)
	$(TEST_VENV)/bin/ruff format --check $(PYTHONS)
	$(TEST_VENV)/bin/clang-format --dry-run -Werror $$(find native fuzz -name '*.cpp' -o -name '*.hpp' -o -name '*.inl')
	$(TEST_VENV)/bin/vermin --quiet --no-tips --violations --target=3.10- --no-parse-comments --backport typing $(PYTHONS)
	$(TEST_VENV)/bin/python -m pytest tests/unit/test_layering.py

# --- sanitizers and fuzzing: builds of their own, without the native module -----------------------------------------

SANITIZED = address-undefined thread
FUZZ_SECONDS ?= 60
FUZZ_RUNS ?= 2000
FUZZ_VENV := .venv-fuzz
NATIVE_FUZZ = $(patsubst fuzz/%_fuzz.cpp,%,$(wildcard fuzz/*_fuzz.cpp))
PYTHON_FUZZ = $(filter-out $(NATIVE_FUZZ),$(notdir $(wildcard fuzz/corpus/*)))
CMAKE = $(TEST_VENV)/bin/cmake -G Ninja -DCMAKE_MAKE_PROGRAM=$(CURDIR)/$(TEST_VENV)/bin/ninja -DEDGESNN_MODULE=OFF

sanitize: $(TEST_VENV)/.installed  ## the native tests under address, undefined-behaviour and thread sanitizers
	@for kind in $(SANITIZED); do \
	    $(CMAKE) -S . -B build/$$kind -DEDGESNN_TESTS=ON -DEDGESNN_SANITIZE=$$(echo $$kind | tr - ,) > build/$$kind.log && \
	    $(TEST_VENV)/bin/cmake --build build/$$kind >> build/$$kind.log || { cat build/$$kind.log; exit 1; }; \
	    echo "$$ ctest --test-dir build/$$kind"; \
	    UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 $(TEST_VENV)/bin/ctest --test-dir build/$$kind --output-on-failure || exit 1; \
	done

$(FUZZ_VENV)/.installed: pyproject.toml tools/requirements.py tools/use_tree.py
	$(STEP) "virtual environment for fuzzing" $(PYTHON) -m venv $(FUZZ_VENV)
	@mkdir -p build && $(FUZZ_VENV)/bin/python tools/requirements.py events > build/requirements-fuzz.txt
	@printf '%s\n' atheris hypothesis pytest rosbags >> build/requirements-fuzz.txt
	$(STEP) "requirements of fuzzing" $(FUZZ_VENV)/bin/python $(PIP) -r build/requirements-fuzz.txt
	@$(FUZZ_VENV)/bin/python tools/use_tree.py
	@touch $@

fuzz: native $(FUZZ_VENV)/.installed  ## fuzz each target for FUZZ_SECONDS, the Python ones FUZZ_RUNS times (clang, atheris)
	@command -v clang++ > /dev/null || { echo "make fuzz needs clang++ with its libFuzzer (Debian: clang, libclang-rt-14-dev)"; exit 1; }
	@$(CMAKE) -S . -B build/fuzz -DEDGESNN_FUZZ=ON -DCMAKE_CXX_COMPILER=clang++ -DEDGESNN_SANITIZE=address,undefined,float-cast-overflow > build/fuzz.log && \
	    $(TEST_VENV)/bin/cmake --build build/fuzz >> build/fuzz.log || { cat build/fuzz.log; exit 1; }
	@for name in $(NATIVE_FUZZ); do mkdir -p build/found/$$name && \
	    UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 build/fuzz/$${name}_fuzz -max_total_time=$(FUZZ_SECONDS) -max_len=400 -timeout=30 \
	        -entropic=0 -artifact_prefix=build/found/$$name- build/found/$$name fuzz/corpus/$$name || exit 1; \
	done
	@for name in $(PYTHON_FUZZ); do mkdir -p build/found/$$name && \
	    case $$name in recording_*) length="-max_len=120 -len_control=0";; *) length=-max_len=4096;; esac; \
	    PYTHONPATH=$(CURDIR) $(FUZZ_VENV)/bin/python fuzz/run.py $$name -runs=$(FUZZ_RUNS) $$length \
	        -artifact_prefix=build/found/$$name- build/found/$$name fuzz/corpus/$$name || exit 1; \
	done

# --- aarch64 under emulation (tools/aarch64, Debian only) ---------------------------------------------------------------

aarch64: native  ## cross-build the wheel for aarch64 and run it under emulation: tests, replay both ways (Debian)
	$(STEP) "prepare aarch64" sh tools/aarch64/prepare.sh $(TEST_VENV)/bin/python
	$(STEP) "build for aarch64" sh tools/aarch64/build.sh $(TEST_VENV)/bin/python
	@sh tools/aarch64/run.sh $(TEST_VENV)/bin/python

aarch64-short: $(TEST_VENV)/.installed  ## cross-build the tests of the kernels alone and run them under emulation (Debian)
	@sh tools/aarch64/short.sh $(TEST_VENV)/bin/python

logs-model: native  ## train a token model on log lines of the shared folder, into runs/logs (not shipped: data for research)
	$(TEST_VENV)/bin/python -m edgesnn train spikegpt --config examples/text/logs.toml \
	    --data $${EDGESNN_SHARED:-../shared}/datasets/BGL_2k.log --out runs/logs

bench: native  ## run the benches; results go to bench/results
	@for file in $(BENCHES); do echo "$$ $(TEST_VENV)/bin/python $$file"; $(TEST_VENV)/bin/python $$file || exit 1; done

bench-tokens: native  ## ms per token of token models, beside the read bandwidth and peers
	$(TEST_VENV)/bin/python bench/tokens/speed.py

bench-daemon: native  ## the service beside plain paho-mqtt: way to a subscriber, broken brokers, streams, idle cost, start
	$(TEST_VENV)/bin/python bench/daemon/speed.py

bench-events: native  ## readers and writers of recordings beside other libraries, a table; needs the shared folder
	$(TEST_VENV)/bin/python bench/events.py

wheels: | check  ## the source archive, a wheel for each CPython here (WHEEL_PYTHONS=... names them), an SBOM, into dist/; each wheel is proved
	$(PYTHON) tools/make_wheels.py dist $(WHEEL_PYTHONS)

deb: | check  ## a Debian package for each CPython here (DEB_PYTHONS=... names them), with all that it needs but Python, into dist/
	$(PYTHON) tools/make_debs.py dist $(DEB_PYTHONS)

lock: $(TEST_VENV)/.installed  ## versions and hashes of what the Debian package carries, anew (deploy/deb/requirements.txt)
	$(TEST_VENV)/bin/python -m pip install -q --target build/uv uv
	@echo '# Made by `make lock`: versions and hashes of what the package carries, for CPython 3.10 and later. Not to be edited.' > deploy/deb/requirements.txt
	build/uv/bin/uv pip compile -q --universal --python-version 3.10 --generate-hashes --no-annotate --no-header deploy/deb/requirements.in >> deploy/deb/requirements.txt

wheel: check  ## build the wheel and prove it in an empty environment
	@bash tools/check_wheel.sh $(PYTHON)

clean:  ## remove what was built and the virtual environments
	rm -rf build dist $(VENV) $(TEST_VENV) $(NUMPY1_VENV) $(FUZZ_VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find edgesnn -name '*.so' -delete
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
