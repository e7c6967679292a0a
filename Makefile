# PenguinMails: `make help` lists what there is.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
N ?= 1000

.DEFAULT_GOAL := help
.PHONY: help setup toolchains demo run test lint format bench fuzz chaos webhookkills mailworld sdks docs regenerate clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.ready ## Make .venv with everything the project needs (uv when present, else pip)

$(VENV)/.ready: pyproject.toml constraints.txt sdks/python/pyproject.toml scripts/setup.sh
	@PYTHON=$(PYTHON) sh scripts/setup.sh $(VENV)
	@touch $@

toolchains: ## Install the system packages that browser tests need (Debian; root or sudo)
	@sh scripts/toolchains.sh

demo: setup ## Send a real message through the API and watch it arrive, signed
	@$(BIN)/penguinmails demo

run: setup ## Serve everything with embedded PostgreSQL and Valkey
	@$(BIN)/penguinmails run

test: setup ## Run all tests
	@sh scripts/toolchains.sh --try
	@$(BIN)/python -m pytest -n 2 --dist loadgroup -q

lint: setup ## Style, types, import directions, and the API contract (Spectral, OWASP, Redocly)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@sh scripts/lint_contract.sh

format: setup ## Format the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: setup ## Measure against the references, in one interleaved run; prints ratios
	@$(BIN)/python -m bench

fuzz: setup ## Invent N requests or more and judge every answer (make fuzz N=5000)
	@$(BIN)/python -m tests.contract.fuzz --cases $(if $(filter command line,$(origin N)),$(N),5000)

chaos: setup ## Kill processes at random N times (make chaos N=1000) and count every message
	@$(BIN)/python -m tests.crash.chaos --rounds $(N)

webhookkills: setup ## Kill webhook workers N times (make webhookkills N=200) and count 25 events for each
	@$(BIN)/python -m tests.crash.webhook_kills --rounds $(N) --events $$((25 * $(N)))

mailworld: setup ## Send N messages (make mailworld N=100000) to servers that throttle and block as large providers do
	@$(BIN)/python -m tests.fixtures.mailworld --messages $(if $(filter command line,$(origin N)),$(N),100000)

sdks: setup ## Write openapi/v1.json and graphql/schema.graphql, and regenerate the SDKs
	@$(BIN)/python -m penguinmails_api.openapi
	@$(BIN)/python -m penguinmails_graphql.schema
	@$(BIN)/python sdks/generator/python.py

docs: setup ## Regenerate the generated pages of docs/
	@$(BIN)/python scripts/generate_docs.py

regenerate: sdks docs ## Write everything that is generated and checked in

clean: ## Remove the environment and embedded data
	rm -rf $(VENV) .penguinmails
