# Builds, shows and tests Stardust. Two commands for a newcomer: `make run` and `make test`.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help run test soak bench lint build dist install deb packages

BIN := .build/release
# The commit that `stardust --version` prints.
export STARDUST_COMMIT := $(shell git describe --always --dirty --abbrev=12 2>/dev/null || echo unknown)
# Libraries are not looked for beside the program.
SWIFT_BUILD := swift build -c release --build-tests --explicit-target-dependency-import-check error --disable-local-rpath
SWIFT_TEST := swift test -c release --skip-build --disable-xctest

help: ## show this list
	@echo "Debian packages that are missing are installed as root or with sudo."
	@echo
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sort -s -k1,1 | sed -E 's/^([a-z]+):.*## /  make \1|/' | column -t -s '|'
	@echo
	@echo "One suite: make test FILTER=ProofTests. Settings: ONCE=1 with run; COUNT and PACKETS with bench."

run: build ## build, serve a ledger under var/ and demonstrate it; ONCE=1 stops afterwards
	@Scripts/run $(BIN)/stardust

test: build ## run every test; FILTER=name runs the tests whose names contain it
	@Scripts/install-packages test
	$(SWIFT_TEST) $(if $(FILTER),--filter '$(FILTER)')

soak: build ## run the randomised tests with large counts; start it again to resume
	@Scripts/install-packages soak
	@mkdir -p var
	STARDUST_SOAK=$(CURDIR)/var/soak-$(STARDUST_COMMIT)$$(git diff HEAD | cksum | cut -d' ' -f1).log $(SWIFT_TEST) --no-parallel --filter '$(or $(FILTER),PowerCut|RotationTests|ContainmentTests|FaultTests.*kill|ModelSyncTests|SchemaWalkTests|JudgementTests|FairnessTests|FuzzTests|ShippingTests|TwoWritersTests|OracleTests|ArchiveKillTests|ArchiveFaultTests|CleanupRunTests|CleanupKillTests|ReloadTests|ServiceTests|MachineTests|DowngradeTests)'

bench: build ## measure this machine; COUNT packets (a million), PACKETS=file to send
	@Scripts/install-packages bench
	@Scripts/bench $(BIN)/stardust-bench $${PACKETS:-Docs/Examples/pipeline.ndjson} $${COUNT:-1000000}

lint: ## check the formatting and the length of files
	swift format lint --strict --recursive --parallel Package.swift Sources Tests
	@find Sources -name '*.swift' | xargs wc -l | awk '$$2 != "total" && $$1 > 400 { print $$2 ": " $$1 " lines, more than 400"; found = 1 } END { exit found }'

build: packages ## build the program, the benchmark and the tests
	$(SWIFT_BUILD)

dist: build ## link a program that runs without the toolchain: .build/dist/stardust
	Scripts/link-static $(BIN) .build/dist/stardust

install: dist ## copy it: DESTDIR=, PREFIX=/usr/local, SYSCONFDIR=/etc
	Packaging/install .build/dist/stardust

deb: build ## build a Debian package, and print its path
	STRIP= Scripts/link-static $(BIN) .build/dist/stardust-symbols
	Packaging/build-deb .build/dist/stardust-symbols .build .build/deb

packages: ## install the Debian packages that building needs
	@Scripts/install-packages build
