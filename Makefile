# make demo, make test: everything from a fresh Debian or Ubuntu with Python >= 3.10 and g++. `make help` lists the rest.
PYTHON ?= python3
VENV ?= .venv
CROCODDYL := .venv-crocoddyl
GOALS ?= 10
SEED ?= 0
PLANT ?= model
WORLD ?=
ROUNDS ?= 3
# Processes that share the tests, file by file.
WORKERS ?= 2

# A sourced ROS distribution brings its own rclpy (and the numpy that it was built with): the wheels stay out then.
ROS := $(shell test -n "$$ROS_DISTRO" && $(PYTHON) -c "import rclpy" 2>/dev/null && echo distribution || echo wheels)
ifeq ($(ROS),distribution)
  VENV_OPTIONS := --system-site-packages
  EXTRAS := train,ray,rl,bags,viz,docs,test
  CONSTRAINTS :=
  ROS_ENVIRONMENT :=
else
  VENV_OPTIONS :=
  EXTRAS := ros,train,ray,rl,bags,viz,docs,test
  CONSTRAINTS := -c constraints.txt
  ROS_ENVIRONMENT := AMENT_PREFIX_PATH="$(abspath $(VENV))"
endif
# One computer talks to itself, whatever else is on its network; one thread a process in numerical libraries.
ENVIRONMENT := $(ROS_ENVIRONMENT) ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST OMP_NUM_THREADS=1

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
STAMPS := $(VENV)/.stamps
NATIVE_SOURCES := $(wildcard src/*.cpp src/*.hpp src/CMakeLists.txt)

.DEFAULT_GOAL := help
.PHONY: help venv build demo bench test mutants lint format docs clean

help:  ## Show this list
	@grep -hE '^[a-z]+:.*##' $(firstword $(MAKEFILE_LIST)) | sed -E 's/^([a-z]+):[^#]*## */  make \1\t/' | expand -t 16
	@echo "Variables: GOALS=$(GOALS) SEED=$(SEED) PLANT=$(PLANT) WORLD=$(WORLD) (demo), ROUNDS=$(ROUNDS) (bench), WORKERS=$(WORKERS) (test), PYTHON=$(PYTHON), VENV=$(VENV), SOBO_BUILD_JOBS (parallel compilers)"

demo: build  ## Planner node and simulated UR5 over ROS 2 topics; GOALS=n SEED=n PLANT=model|mujoco WORLD=file
	$(ENVIRONMENT) $(BIN)/python -m sobo_planner.ros.demo --goals $(GOALS) --seed $(SEED) --plant $(PLANT) $(if $(WORLD),--world $(WORLD)) --out out/demo

bench: build $(CROCODDYL)/.complete  ## The planner beside its alternatives, Crocoddyl among them; ROUNDS=n
	$(ENVIRONMENT) $(BIN)/python -m sobo_planner.cli bench ur5 --rounds $(ROUNDS) --before benchmarks/results/bench_ur5.json --json out/bench/ur5.json

test: lint  ## Linters, type checker and the whole test suite; WORKERS=n processes
	$(ENVIRONMENT) $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

mutants: build  ## Bugs injected into the planner's decisions: does a test notice each?
	$(ENVIRONMENT) $(BIN)/python benchmarks/mutants

lint: build
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	@mkdir -p build/typing && ln -sfn ../../training build/typing/sobo_training
	$(BIN)/mypy

format: build  ## Sort imports and format the Python code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: build  ## Pages of the Python API, from the docstrings: build/docs/index.html
	$(ENVIRONMENT) $(BIN)/python docs/api.py build/docs

build: $(STAMPS)/native  ## Virtual environment, dependencies, native extension

$(STAMPS)/venv-$(ROS):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
		|| { echo "error: $(PYTHON) is too old or missing; Python >= 3.10 is needed (PYTHON=... chooses another)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo "error: $(PYTHON) cannot make virtual environments: sudo apt install python3-venv" >&2; exit 1; }
	@$(PYTHON) -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' \
		|| { echo "error: Python.h is missing, the extension cannot be compiled: sudo apt install python3-dev" >&2; exit 1; }
	@command -v $(or $(CXX),g++) >/dev/null \
		|| { echo "error: no C++ compiler: sudo apt install g++" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV_OPTIONS) $(VENV)
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/dependencies: $(STAMPS)/venv-$(ROS) setup.py setup.cfg pyproject.toml constraints.txt
	@$(BIN)/python -c "$$BUILD_REQUIREMENTS" > $(STAMPS)/build-requirements.txt
	$(PIP) install $(CONSTRAINTS) -r $(STAMPS)/build-requirements.txt
	$(PIP) install $(CONSTRAINTS) --no-build-isolation --editable ".[$(EXTRAS)]"
	@touch $@

$(STAMPS)/native: $(STAMPS)/dependencies $(NATIVE_SOURCES)
	$(BIN)/python setup.py --quiet build_ext --inplace
	@touch $@

# Crocoddyl needs another Pinocchio than Aligator: an environment of its own.
$(CROCODDYL)/.complete: benchmarks/crocoddyl.txt
	$(PYTHON) -m venv --clear $(CROCODDYL)
	$(CROCODDYL)/bin/python -m pip --disable-pip-version-check install -r benchmarks/crocoddyl.txt
	@touch $@

clean:  ## Remove everything that make created
	rm -rf $(VENV) $(CROCODDYL) build install log out dist *.egg-info sobo_planner/_native*.so
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis

# The build requirements stand once, in pyproject.toml. Python 3.10 has no TOML reader, but pip brings one.
define BUILD_REQUIREMENTS
try:
    import tomllib
except ImportError:
    from pip._vendor import tomli as tomllib
with open("pyproject.toml", "rb") as file:
    print(*tomllib.load(file)["build-system"]["requires"], sep="\n")
endef
export BUILD_REQUIREMENTS
