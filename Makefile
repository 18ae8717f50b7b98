# Trunkline. `make help` lists the targets.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
GOLANGCI_VERSION := v2.15.0
GOVULNCHECK_VERSION := v1.9.0
TOOLS := $(CURDIR)/bin/tools
# A count, not a time: go test calls it a failure when the time ends while an input is being minimised.
FUZZTIME ?= 50000x

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.PHONY: build
build: ## build bin/trunkline
	go build -trimpath -ldflags '$(LDFLAGS)' -o bin/trunkline ./cmd/trunkline

.PHONY: test
test: peers ## run every test with the race detector
	go test -race -timeout 14m ./...

.PHONY: peers
peers: ## install the independent peers that tests talk to (as root with apt; elsewhere those tests are skipped by name)
	@testdata/peers/install

.PHONY: generate
generate: ## write configs/schemas and docs/configuration.md from the code
	go run ./cmd/trunkline schema --write configs/schemas --markdown docs/configuration.md

.PHONY: rules
rules: ## which tests prove which rule of docs/rules.md
	go run ./cmd/rules

.PHONY: lint
lint: $(TOOLS)/golangci-lint ## formatting, vet and linters
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "not formatted (run gofmt -w):"; echo "$$out"; exit 1; fi
	go vet ./...
	$(TOOLS)/golangci-lint run --timeout 10m --allow-parallel-runners

$(TOOLS)/golangci-lint:
	GOBIN=$(TOOLS) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)

.PHONY: vuln
vuln: ## known vulnerabilities of what is linked in, where their database can be reached
	@GOBIN=$(TOOLS) go install golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION)
	@if ! out=$$($(TOOLS)/govulncheck ./... 2>&1); then \
		if grep -qE 'vuln.go.dev|dial tcp|lookup|connection refused|no such host|i/o timeout|fetching vulnerabilities' <<<"$$out"; then \
			echo "vuln: SKIPPED, the vulnerability database cannot be reached from here"; \
		else echo "$$out"; exit 1; fi; \
	else echo "$$out"; fi

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME inputs (default 50000x) each
	@mkdir -p bin; for pkg in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
			echo "fuzz $$pkg $$target"; \
			go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 100x $$pkg >bin/fuzz.log 2>&1 || { cat bin/fuzz.log; exit 1; }; \
		done; \
	done

.PHONY: bench
bench: ## every benchmark beside the code
	go test -run '^$$' -bench . -benchmem ./...

.PHONY: bench-smpp
bench-smpp: build ## keyword round trips per second, beside Kannel in the same run
	go run ./cmd/harness bench-smpp

.PHONY: bench-timers
bench-timers: build ## a million persons waiting: restart, memory, firing rate
	go run ./cmd/harness bench-timers

.PHONY: soak
soak: build ## ten minutes at half load: memory stays flat
	go run ./cmd/harness soak

.PHONY: crash
crash: build ## kill -9 under load, thirty times: nothing acknowledged is lost
	go run ./cmd/harness crash

.PHONY: crash-calls
crash-calls: build ## kill -9 during 500 calls, five times: every answered leg is on record, none is billed beyond, no peer is left
	go run ./cmd/harness crash-calls

.PHONY: bench-mail
bench-mail: build peers ## mails per second in and out, beside Postfix in the same run
	go run ./cmd/harness bench-mail

.PHONY: bench-voice
bench-voice: build ## calls per second and at once, beside sipp and Kamailio in the same run
	go run ./cmd/harness bench-voice

.PHONY: crash-mail
crash-mail: build ## kill -9 while ten thousand mails come in and are answered: none lost, none twice but those on their way
	go run ./cmd/harness crash-mail

.PHONY: smuggling
smuggling: build ## what is known of SMTP smuggling, against the daemon and through what it sends
	go run ./cmd/harness smuggling

.PHONY: torture
torture: build ## SIP torture messages of RFC 4475 over the wire: each gets its right answer
	go mod download github.com/emiago/sipgo
	go run ./cmd/harness torture

.PHONY: simulate
simulate: ## two thousand random worlds around the runtime, which dies in them at any moment: what must never be
	go run ./cmd/harness simulate

.PHONY: bench-flow
bench-flow: ## steps through a flow per second, an audience of a million, triggers; beside the disk's own pace
	go run ./cmd/harness bench-flow
