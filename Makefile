.PHONY: build test ci fuzz bench torture golden

build: ## the binary, the same bytes from any directory
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -o bin/kinfra ./cmd/kinfra

test:
	go test ./...

ci:
	.ci/run

fuzz: ## an hour in all, shared by the fuzz targets
	.ci/fuzz $$((3600 / $$(grep -rh --include='*_test.go' '^func Fuzz' . | wc -l)))

bench:
	go run ./bench

torture: ## kills, full disks, lost power: what kinfra promises of its state
	go run ./internal/torture

golden: ## rewrites the generated files and golden outputs; review the diff
	go test ./docs ./scripts ./cmd/kinfra ./engine/report -update
