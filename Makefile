# Two commands for a newcomer: `make run` and `make test`. Both install the Debian packages that are
# missing (as root, or with sudo) and build what they need.

SHELL := /bin/bash
PROGRAM := .build/release/stardust
BUILD := swift build -c release --build-tests --explicit-target-dependency-import-check error

.PHONY: run test build packages bench lint

packages:
	@Docs/Examples/install-packages build

build: packages
	$(BUILD)

run: build
	@Docs/Examples/run $(PROGRAM)

test: build
	@Docs/Examples/install-packages test
	swift test -c release --skip-build --disable-xctest

bench: build
	@Docs/Examples/install-packages bench
	@folder=$$(Tests/postgres start -c wal_level=logical -c wal_retrieve_retry_interval=10ms -c shared_buffers=2GB -c max_wal_size=8GB -c maintenance_work_mem=1GB) && \
	trap "Tests/postgres stop $$folder" EXIT && \
	$(PROGRAM) bench --packets $${PACKETS:-Docs/Examples/pipeline.ndjson} --count $${COUNT:-1000000} --postgres $$folder

lint:
	swift format lint --strict --recursive --parallel Package.swift Sources Tests
