# Every target sets up what it needs; nothing is asked for but python3 with venv, make and a package registry.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/installed
CODE := server exporter clients tests benchmarks deploy
PACKAGES := server/rhapsode_server exporter/rhapsode_exporter clients/python/rhapsode_client clients/python/rhapsode_command tests benchmarks deploy
PROTOS := $(sort $(wildcard protos/rhapsode/*/*.proto))
SERVICES := $(shell grep -l '^service ' $(PROTOS))
GENERATED := protos/rhapsode
PROTO_OUT ?= protos
NODE := tests/languages/node
GO_PACKAGES := golang-go golang-google-grpc-dev golang-github-golang-protobuf-1-5-dev protoc-gen-go-1-5 protoc-gen-go-grpc
# Fails where Debian's packages cannot be installed.
apt = { test "$$(id -u)" = 0 && command -v apt-get && apt-get update -qq \
	&& DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 $(1); } >/dev/null 2>&1
# Those of the two that pyproject.toml has: what the image runs with.
IMAGE_EXTRAS := $(shell sed -nE 's/^(otel|server) = .*/--extra \1/p' pyproject.toml)
LOCK = $(BIN)/uv pip compile --quiet --no-config --no-annotate --custom-compile-command 'make lock' --generate-hashes \
	--python-version 3.11 --python-platform x86_64-manylinux_2_28 --constraints constraints.txt

.DEFAULT_GOAL := help
.PHONY: help install demo serve test test-languages test-image test-gpu check format protos lock bench bench-rivals abuse soak living clean promtool go-packages buildah

help: ## say what each target does
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

install: $(STAMP) ## make .venv with everything in it

demo: $(STAMP) ## train a small model, serve it with the shipped ones, make text and pictures (writes out/)
	$(BIN)/python -m deploy.demo

serve: $(STAMP) ## serve the shipped models on 127.0.0.1:50051
	$(BIN)/rhapsode-server --models models

test: check promtool ## run all checks, then the tests
	$(BIN)/python -m pytest --ignore=tests/house

test-languages: $(STAMP) go-packages $(NODE)/node_modules/.package-lock.json ## install Go and Node where they are absent, then test clients made from the protos
	$(BIN)/python -m pytest -m languages tests/languages

test-gpu: $(STAMP) ## on a machine with a CUDA GPU: add CUDA's libraries, then run the tests that need it
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --editable '.[dev,cuda]'
	$(BIN)/rhapsode-server --check --models models --require-gpu
	$(BIN)/python -m pytest -m gpu

test-image: $(STAMP) buildah ## build the container image for the CPU, run it and look it over (as root, on Debian)
	$(BIN)/python -m pytest -m image -rP

check: $(STAMP) ## format, lint, types, protos, Dockerfile, generated code, arrows between packages, size budgets
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy $(PACKAGES)
	$(BIN)/hadolint Dockerfile
	$(BIN)/buf lint
	$(BIN)/buf format --diff --exit-code
	@echo 'generated code is that of the .proto files'
	@fresh=$$(mktemp -d) && trap 'rm -rf "$$fresh"' EXIT && $(MAKE) --no-print-directory -s protos PROTO_OUT="$$fresh" \
		&& diff -r -x '*.proto' -x __init__.py -x py.typed -x __pycache__ $(GENERATED) "$$fresh/rhapsode"
	$(BIN)/python -m pytest -q tests/house

format: $(STAMP) ## bring all code into its format
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)
	$(BIN)/buf format --write

protos: $(STAMP) ## generate the Python code of the .proto files
	$(BIN)/python -m grpc_tools.protoc -Iprotos --plugin=protoc-gen-mypy=$(BIN)/protoc-gen-mypy \
		--python_out=$(PROTO_OUT) --mypy_out=readable_stubs,quiet:$(PROTO_OUT) $(PROTOS)
	$(BIN)/python -m grpc_tools.protoc -Iprotos --plugin=protoc-gen-mypy_grpc=$(BIN)/protoc-gen-mypy_grpc \
		--grpc_python_out=$(PROTO_OUT) --mypy_grpc_out=quiet:$(PROTO_OUT) $(SERVICES)

lock: $(STAMP) ## write anew what the image installs, with the hashes of all files (deploy/image/requirements-*.txt)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv
	$(LOCK) pyproject.toml $(IMAGE_EXTRAS) --output-file deploy/image/requirements-cpu.txt
	$(LOCK) pyproject.toml $(IMAGE_EXTRAS) --extra cuda --output-file deploy/image/requirements-cuda.txt
	$(LOCK) --group image-build --output-file deploy/image/requirements-build.txt

bench: $(STAMP) ## measure the server against ONNX Runtime alone (writes out/bench.json and plots)
	$(BIN)/python -m benchmarks.bench

bench-rivals: $(STAMP) ## measure it beside PyTriton and MLServer, in environments of their own (writes out/bench-rivals.json)
	$(BIN)/python -m benchmarks.bench --rivals

abuse: $(STAMP) ## abuse servers in every way that docs/reliability.md promises about, and print its table (writes out/abuse/)
	$(BIN)/python -m benchmarks.abuse

soak: $(STAMP) ## load a server for ten minutes with requests of all kinds, some of them spoilt, and judge every reply (writes out/soak/)
	$(BIN)/python -m benchmarks.soak

living: $(STAMP) ## reload, rename and unload models of a server under load, and judge every reply (writes out/living/)
	$(BIN)/python -m benchmarks.living

clean: ## remove everything that was made here
	rm -rf .venv .bench .data .languages .image $(NODE)/node_modules out runs dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --editable '.[dev]'
	$(BIN)/python -m pip check
	touch $@

# One test asks promtool about a live metrics page; it comes with Debian's prometheus and is skipped where it cannot be had.
promtool:
	@command -v promtool >/dev/null || $(call apt,prometheus) \
		|| echo 'promtool is not here and cannot be installed: its test will be skipped'

# The packages of protobuf 1.5 are named, since those of 1.3 know no optional fields in proto3.
go-packages:
	@{ command -v go && command -v protoc-gen-go && command -v protoc-gen-go-grpc && test -d /usr/share/gocode/src/google.golang.org/grpc; } >/dev/null \
		|| $(call apt,$(GO_PACKAGES)) || echo 'Go and its gRPC are not here and cannot be installed: their tests will be skipped'

# npm writes this file when it has installed what the lock says.
$(NODE)/node_modules/.package-lock.json: $(NODE)/package-lock.json
	@command -v npm >/dev/null || $(call apt,nodejs npm) || echo 'npm is not here and cannot be installed'
	@cd $(NODE) && npm ci --silent && touch node_modules/.package-lock.json || echo 'npm cannot install: the tests of Node will be skipped'

# The image is built by buildah on a base made by mmdebstrap: neither a container engine nor a registry of images is needed.
buildah:
	@test "$$(id -u)" = 0 && { { command -v buildah && command -v mmdebstrap; } >/dev/null || $(call apt,buildah mmdebstrap); } \
		|| { echo 'make test-image needs root, and buildah and mmdebstrap, which it can install on Debian' >&2; exit 1; }
