# The targets; `make` alone prints them.

GO          ?= go
LINT_VERSION = 2.15.0
LINT         = $(shell $(GO) env GOPATH)/bin/golangci-lint
VERSION     ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

# The race detector needs cgo and a C compiler.
CC_FOUND = $(shell command -v $$($(GO) env CC) 2>/dev/null)
RACE     = $(if $(CC_FOUND),-race)
ifneq ($(RACE),)
export CGO_ENABLED = 1
endif

.PHONY: help
help: ## Print this list.
	@echo "usage: make TARGET"
	@sed -n 's/^\([a-z][a-z0-9-]*\):[^#]*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | awk -F '\t' '{printf "  %-14s %s\n", $$1, $$2}'

.PHONY: build
build: ## Build bin/jetfn.
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/jetfn ./cmd/jetfn

.PHONY: test
test: ## Run the tests; needs Go only. With the race detector where a C compiler is.
	@$(if $(RACE),echo "make test: with -race ($(CC_FOUND))",echo "make test: without -race: no C compiler was found")
	@$(GO) test $(RACE) -timeout 40m ./...

# make runs a target once, so `make check test` tests once.
.PHONY: check
check: need-race fmt-check vet lint generated test ## All that must pass before a commit.

.PHONY: need-race
need-race:
	@test -n "$(CC_FOUND)" || { echo "make check: the race detector needs a C compiler: install gcc or clang, or set CC" >&2; exit 1; }

.PHONY: fmt
fmt: $(LINT)-$(LINT_VERSION) ## Format the code.
	$(LINT)-$(LINT_VERSION) fmt

.PHONY: fmt-check
fmt-check: $(LINT)-$(LINT_VERSION)
	@out=$$($(LINT)-$(LINT_VERSION) fmt --diff) || { echo "$$out"; echo "make check: not formatted; run make fmt" >&2; exit 1; }; \
	test -z "$$out" || { echo "$$out"; echo "make check: not formatted; run make fmt" >&2; exit 1; }

.PHONY: vet
vet: ## Run go vet, also on the code behind build tags.
	$(GO) vet ./...
	$(GO) vet -tags e2e ./e2e
	$(GO) vet -tags faultpoints ./...
	$(GO) vet -tags mutants ./...

.PHONY: lint
lint: $(LINT)-$(LINT_VERSION) ## Run golangci-lint, installing the pinned version if it is missing.
	$(LINT)-$(LINT_VERSION) run ./...
	$(LINT)-$(LINT_VERSION) run --build-tags e2e ./e2e/...

$(LINT)-$(LINT_VERSION):
	@scripts/install-lint $(LINT_VERSION) $@

.PHONY: generate
generate: ## Generate code again.
	$(GO) generate ./...

.PHONY: generated
generated: ## Fail if generating changes a file.
	@scripts/check-generated

.PHONY: simulate
simulate: ## Simulate SEEDS=n worlds (20000) from START=k on (0: new ones).
	$(GO) run ./internal/sim/cmd -seeds $(or $(SEEDS),20000) -start $(or $(START),0)

# The same seeds each time, in which every mutant is found.
.PHONY: simulate-ci
simulate-ci: ## Simulate the 6,000 worlds that every change has to pass.
	timeout 15m $(GO) run ./internal/sim/cmd -seeds 6000 -start 1

.PHONY: e2e
e2e: e2e-setup ## Run the built binary with the real StateFun SDKs. RUN=regexp picks tests.
	$(GO) test -tags e2e -count=1 -timeout 80m $(if $(RUN),-run '$(RUN)') $(if $(V),-v) ./e2e

.PHONY: e2e-setup
e2e-setup: ## Install the StateFun SDKs for e2e into .e2e, and build their programs.
	@scripts/e2e-setup

.PHONY: smoke
smoke: e2e-setup ## Send MESSAGES=n (100000) trees of commands to functions of four SDKs while processes die. RUN=Python picks one.
	JETFN_SMOKE_MESSAGES=$(or $(MESSAGES),100000) $(GO) test -tags e2e -count=1 -timeout 3h -v -run 'TestCommandsOfStateFunsSmokeTest/$(RUN)' ./e2e

.PHONY: power
power: ## Let the power of a worker's disk fail FAILURES=n (50) times under load; needs root. SYNC, SEED and DIR (of the disk's image) change it.
	JETFN_POWER_FAILURES=$(or $(FAILURES),50) JETFN_POWER_SYNC=$(SYNC) JETFN_POWER_SEED=$(SEED) JETFN_POWER_DIR=$(DIR) $(GO) test -tags e2e -count=1 -timeout 3h -v -run TestAPowerFailure ./e2e

.PHONY: bench
bench: build ## Measure the standard set, into docs/performance.md. BENCHFLAGS='-rounds 1 -duration 3s -only http -note …' changes it.
	$(GO) run ./internal/bench/standard -jetfn bin/jetfn -page docs/performance.md $(BENCHFLAGS)

.PHONY: bench-go
bench-go: ## Run the Go benchmarks; compare two runs with benchstat.
	$(GO) test -run '^$$' -bench . -count $(or $(COUNT),6) ./actor ./broker ./gateway ./kvstate

.PHONY: bench-timers
bench-timers: build ## Measure a worker with a million delayed messages. BENCHFLAGS='-timers 100000 -over 1m …' changes it.
	$(GO) run ./internal/bench/timers -jetfn bin/jetfn $(BENCHFLAGS)

.PHONY: bench-sweep
bench-sweep: ## Measure how a million states that have expired are removed. BENCHFLAGS='-keys 100000 -after 1m' changes it.
	$(GO) run ./internal/bench/sweep $(BENCHFLAGS)

.PHONY: bench-table
bench-table: ## Fill and use one table of ENTRIES=n (1000000) entries.
	$(GO) run ./internal/bench/table -entries $(or $(ENTRIES),1000000)

.PHONY: bench-compare
bench-compare: build ## Measure Restate beside jetfn; needs npm. ROUNDS, DURATION and LOADS change it.
	scripts/bench-compare bin/jetfn

.PHONY: soak
soak: build ## Load an application for 25 minutes, also beyond what it can do. STEADY, OVERLOAD, PROBE, SAMPLE, RATE, SYNC, FUNCTION and BACKLOG change it.
	scripts/soak bin/jetfn
	JETFN_E2E_OVERLOAD=$(or $(BACKLOG),10m) $(GO) test -tags e2e -count=1 -timeout 40m -v -run TestAProducerTenTimesTooFast ./e2e

.PHONY: clean
clean: ## Remove what make built and installed here.
	rm -rf bin dist .e2e
