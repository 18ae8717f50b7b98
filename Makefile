# Trunkline. `make help` lists the targets.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.PHONY: build
build: ## build bin/trunkline
	go build -trimpath -ldflags '$(LDFLAGS)' -o bin/trunkline ./cmd/trunkline

.PHONY: test
test: ## run every test with the race detector
	go test -race -timeout 14m ./...

.PHONY: lint
lint: ## formatting and vet
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "not formatted (run gofmt -w):"; echo "$$out"; exit 1; fi
	go vet ./...

.PHONY: bench
bench: ## every benchmark beside the code
	go test -run '^$$' -bench . -benchmem ./...
