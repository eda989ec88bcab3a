# `make run` and `make test` are the two commands; everything they need is installed here.
# The locks in requirements/ are complete, so pip resolves nothing (--no-deps): what is published elsewhere tomorrow
# changes no installation. `pip check` then shows that they are.
PYTHON ?= python3
PORT ?= 8080
PREFIX ?= $(HOME)/.local
PYTEST_ARGS ?=
SECONDS ?= 120
SEED ?= 1
TARGET ?= parse_call
VENV := .venv
BIN := $(VENV)/bin
ATHERIS := $(VENV)-atheris
SBOM := $(VENV)/sbom
DEPLOY := $(VENV)/deploy
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --no-deps

.DEFAULT_GOAL := help
.PHONY: help run install test-quickstart test test-quick check fmt lock vendor clean test-clients test-stack test-wheel test-install bench bench-quick bench-failover bench-pools bench-reload bench-view test-sdist test-sbom test-deploy test-observe test-view test-aiohttp sbom fuzz fuzz-atheris

help:
	@echo "make run [PORT=8080]   install into .venv and start the demo gateway"
	@echo "make install [PREFIX=~/.local]   the command for good, in an environment of its own"
	@echo "make test              formatter check, linter, type checker, all tests"
	@echo "make test-quick        all tests but the slow ones, without coverage: for the change in hand"
	@echo "  PYTEST_ARGS=...      for both: make test-quick PYTEST_ARGS='tests/relay -k ping'"
	@echo "make test-clients      every client of docs/clients.md against the gateway"
	@echo "make test-stack        the docker compose stack, for real"
	@echo "make test-quickstart   the README's lines, typed into fresh shells"
	@echo "make test-deploy       the files of deploy/ with nginx, HAProxy, Caddy, systemd and Kubernetes' schemas"
	@echo "make test-observe      metrics, alert rules and dashboard with a real Prometheus"
	@echo "make test-view         the pages of a busy demo in Chromium: contrast, names, keyboard; screenshots in build/view"
	@echo "make test-wheel        the wheel in an empty environment"
	@echo "make test-sdist        the source distribution: its own tests, its own wheel"
	@echo "make test-install      the locks, with old and new pip"
	@echo "make test-aiohttp      server and relay on the oldest and the newest aiohttp"
	@echo "make sbom              dist/sbom.json: what runs, as CycloneDX (test-sbom: and that it names all of it)"
	@echo "make fuzz [SECONDS=120] [SEED=1] [CASE=file]   random cases against plain readings of what should become of them"
	@echo "make fuzz-atheris TARGET=parse_call            one pure function, guided by coverage"
	@echo "make bench             the benchmark (bench-quick: under two minutes)"
	@echo "make bench-pools       what a pool costs a request, in instructions (bench-failover: a pool in outages)"
	@echo "make bench-view        what the view costs, whether requests notice it, and how fast its pages are"
	@echo "make lock              renew requirements/*.txt from pyproject.toml"
	@echo "make vendor            renew the copy of htmx that the pages have, by npm"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make $(MAKECMDGOALS) PYTHON=python3.x" >&2; exit 1; }
	@was_there=$$([ -e $(VENV) ] && echo yes); $(PYTHON) -m venv $(VENV) || { echo "Python's venv module is missing: apt-get install python3-venv" >&2; [ "$$was_there" ] || rm -rf $(VENV); exit 1; }

$(VENV)/.run: requirements/runtime.txt requirements/build.txt pyproject.toml $(wildcard proxy/*.py proxy/*/*.py schemas/*.json) | $(BIN)/python
	$(INSTALL) --require-hashes -r requirements/runtime.txt -r requirements/build.txt
	$(INSTALL) --no-build-isolation --editable .
	$(BIN)/pip check --disable-pip-version-check >/dev/null
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.run
	$(INSTALL) --require-hashes -r requirements/dev.txt
	$(BIN)/pip check --disable-pip-version-check >/dev/null
	@touch $@

# Two environments: the tool, which is no part of the gateway, and what it describes: the lock of the image, nothing else.
$(SBOM)/.ready: requirements/image.txt requirements/sbom.txt | $(BIN)/python
	@rm -rf $(SBOM)
	$(BIN)/python -m venv --without-pip $(SBOM)/tool
	$(BIN)/python -m venv --without-pip $(SBOM)/runtime
	$(BIN)/pip --python $(SBOM)/tool/bin/python install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/sbom.txt
	$(BIN)/pip --python $(SBOM)/runtime/bin/python install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/image.txt
	@touch $@

# Kubernetes' schemas, which are large.
$(DEPLOY)/.ready: requirements/deploy.txt | $(BIN)/python
	@rm -rf $(DEPLOY)
	$(BIN)/python -m venv --without-pip $(DEPLOY)
	$(BIN)/pip --python $(DEPLOY)/bin/python install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/deploy.txt
	@touch $@

run: $(VENV)/.run
	$(BIN)/anyrouter demo --port $(PORT)

# The code is copied: what becomes of the checkout changes nothing that is installed. Each time into a new environment,
# to which the link then leads: what runs goes on with the files that it began with, until it is started again. That one
# is kept until the next time. All extras come with it, so that a store in PostgreSQL needs a line and no installation.
install: SHARE := $(PREFIX)/share/anyrouter
install: NEW := $(PREFIX)/share/anyrouter/$(shell date -u +%Y%m%dT%H%M%SZ)
install: LINK := $(PREFIX)/bin/anyrouter
install:
	@[ ! -e '$(LINK)' ] && [ ! -L '$(LINK)' ] || case "$$(readlink '$(LINK)')" in '$(SHARE)'/*) ;; *) echo '$(LINK) is not of make install: take it away (of uv or pipx: uninstall anyrouter), or give another PREFIX' >&2; exit 1 ;; esac
	@echo 'installing into $(NEW) ...'
	@$(MAKE) --silent VENV='$(NEW)' '$(NEW)/bin/python'
	@'$(NEW)/bin/pip' install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/image.txt -r requirements/build.txt
	@'$(NEW)/bin/pip' install --quiet --disable-pip-version-check --no-deps --no-build-isolation --force-reinstall .
	@'$(NEW)/bin/pip' check --disable-pip-version-check >/dev/null
	@'$(NEW)/bin/anyrouter' --version
	@mkdir -p '$(PREFIX)/bin'; before=$$(readlink '$(LINK)'); before=$${before%/bin/anyrouter}; \
	ln -sf '$(NEW)/bin/anyrouter' '$(LINK).new' && mv -f '$(LINK).new' '$(LINK)' && echo "is now $(LINK)" && \
	for each in '$(SHARE)' '$(SHARE)'/*; do case "$$each" in "$$before"|'$(NEW)') ;; \
	'$(SHARE)') [ ! -e "$$each/pyvenv.cfg" ] || rm -rf "$$each/bin" "$$each/include" "$$each/lib" "$$each/lib64" "$$each/pyvenv.cfg" ;; \
	*) [ ! -e "$$each/pyvenv.cfg" ] || rm -rf "$$each" ;; esac; done
	@case ":$$PATH:" in *":$(PREFIX)/bin:"*) ;; *) echo 'Your shell does not look there yet: export PATH="$(PREFIX)/bin:$$PATH"' ;; esac

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

test: check
	$(BIN)/python -m pytest -n 3 --cov --cov-report=term --cov-fail-under=95 $(PYTEST_ARGS)
	ANYROUTER_PLAIN=1 $(BIN)/python -m pytest -n 3 -q -m "not slow" tests/relay tests/server

test-quick: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 -q -m "not slow" --hypothesis-profile quick $(PYTEST_ARGS)

test-clients: $(VENV)/.dev
	$(BIN)/python -m tests.clients.run

test-stack:
	tests/stack/run.sh

test-quickstart:
	tests/quickstart/run.sh

test-deploy: $(VENV)/.dev $(DEPLOY)/.ready
	$(BIN)/python -m pytest -q tests/deploy

test-observe: $(VENV)/.dev
	tests/observe/run.sh

test-view: $(VENV)/.dev
	$(BIN)/python -m pytest -q -p no:xdist tests/view

test-wheel:
	tests/wheel/run.sh

test-sdist:
	tests/sdist/run.sh

test-install:
	tests/install/run.sh

test-aiohttp:
	tests/aiohttp/run.sh

# The tool reads the version in pyproject.toml only; there it is the build that fills it in. A licence that a package tells in
# words alone, and not by its SPDX name, is one of the texts.
sbom: $(SBOM)/.ready
	@mkdir -p dist
	@sed "s/^dynamic = .*/version = $$(sed -n 's/^__version__ = //p' proxy/version.py)/" pyproject.toml >$(SBOM)/pyproject.toml
	$(SBOM)/tool/bin/cyclonedx-py environment --validate --gather-license-texts --output-reproducible --pyproject $(SBOM)/pyproject.toml --output-file dist/sbom.json $(SBOM)/runtime/bin/python

test-sbom:
	tests/sbom/run.sh

fuzz: $(VENV)/.dev
	$(BIN)/python -m fuzz.run $(if $(CASE),--case '$(CASE)',--seconds $(SECONDS) --seed '$(SEED)')

# In an environment of its own: atheris has no wheels for some platforms.
$(ATHERIS)/.installed: requirements/runtime.txt requirements/fuzz.txt | $(BIN)/python
	$(BIN)/python -m venv $(ATHERIS)
	$(ATHERIS)/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/runtime.txt -r requirements/fuzz.txt
	@touch $@

fuzz-atheris: $(ATHERIS)/.installed
	$(ATHERIS)/bin/python -m fuzz.guided '$(TARGET)' $(if $(CASE),--case '$(CASE)',--seconds $(SECONDS) --seed '$(SEED)')

bench: $(VENV)/.dev
	$(BIN)/python -m bench.run

bench-reload: $(VENV)/.dev
	$(BIN)/python -m bench.reload

bench-quick: $(VENV)/.dev
	$(BIN)/python -m bench.run --quick

bench-failover: $(VENV)/.dev
	$(BIN)/python -m bench.failover

bench-pools: $(VENV)/.dev
	$(BIN)/python -m bench.pools

bench-view: $(VENV)/.dev
	$(BIN)/python -m bench.run --only "tenancy embedded,view,traces" --workloads "W1,W2,W5 200,view" --rounds 5
	$(BIN)/python -m bench.view_apart
	$(BIN)/python -m bench.pages

fmt: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock:
	uv pip compile --quiet --universal --no-strip-extras --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --extra view pyproject.toml -o requirements/runtime.txt
	uv pip compile --quiet --universal --no-strip-extras --generate-hashes --no-emit-index-url --no-header --python-version 3.11 -c requirements/runtime.txt --extra postgres --extra redis --extra view --extra otel pyproject.toml -o requirements/image.txt
	uv pip compile --quiet --universal --no-strip-extras --generate-hashes --no-emit-index-url --no-header --python-version 3.11 -c requirements/runtime.txt requirements/build.in -o requirements/build.txt
	uv pip compile --quiet --universal --no-strip-extras --generate-hashes --no-emit-index-url --no-header --python-version 3.11 -c requirements/runtime.txt -c requirements/build.txt --extra dev --extra postgres --extra redis --extra view --extra otel pyproject.toml -o requirements/dev.txt
	uv pip compile --quiet --universal --no-strip-extras --generate-hashes --no-emit-index-url --no-header --python-version 3.11 requirements/oldest.in -o requirements/oldest.txt
	uv pip compile --quiet --universal --no-strip-extras --generate-hashes --no-emit-index-url --no-header --python-version 3.11 requirements/sbom.in -o requirements/sbom.txt
	uv pip compile --quiet --universal --no-strip-extras --generate-hashes --no-emit-index-url --no-header --python-version 3.11 -c requirements/runtime.txt requirements/fuzz.in -o requirements/fuzz.txt
	uv pip compile --quiet --universal --no-strip-extras --generate-hashes --no-emit-index-url --no-header --python-version 3.11 -c requirements/runtime.txt requirements/deploy.in -o requirements/deploy.txt

vendor: $(BIN)/python
	$(BIN)/python requirements/vendor.py

clean:
	rm -rf $(VENV) $(ATHERIS) fuzz/failures dist build .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis
