.PHONY: build test ci bench fuzz golden

build: ## the binary, the same bytes from any directory
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -o bin/kinfra ./cmd/kinfra

test:
	go test ./...

ci:
	.ci/run

bench:
	go run ./bench

golden: ## rewrites the generated files and golden outputs; review the diff
	go test ./docs ./cmd/kinfra -update
