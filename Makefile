# The front door. Every target is one step of building or checking K2; `make help` lists them.
FUZZ_SECONDS ?= 30
SHELL := /bin/bash
.DEFAULT_GOAL := all
.PHONY: all setup release test nightly demo asan tsan bench coverage fuzz docs fmt lint install clean help

all: release ## set up, build the release program, link it as build/k2

setup: ## install what building and testing need (quick when there)
	@tools/setup

release: setup
	@test -f build/release/build.ninja || cmake --preset release
	@cmake --build build/release
	@ln -sfn release/k2 build/k2

test: ## everything that must pass: both compilers, tests, checks, sanitizers
	@tools/test

demo: release ## the whole story on generated data, in under a minute
	@build/k2 demo

asan: ## all tests with the address and undefined-behaviour sanitizers
	@tools/test --preset asan

tsan: ## all tests with the thread sanitizer
	@tools/test --preset tsan

nightly: setup ## the large tiers: every call failed, 1,000 kills, 10,000 seeds, long fuzzing
	@tools/nightly

bench: release ## benchmarks
	@build/k2 bench

coverage: setup ## line coverage of all tests by room, and build/coverage/index.html
	@tools/coverage

fuzz: setup ## every fuzz target for FUZZ_SECONDS (30)
	@tools/fuzz $(FUZZ_SECONDS)

docs: release ## the pages that the program itself writes
	@{ echo '<!-- Made by "make docs" from the program; edit src/market/schema.c instead. -->'; \
	  build/k2 help columns; } >docs/data-dictionary.md
	@{ echo '<!-- Made by "make docs" from the program; edit src/base/config_rows.c instead. -->'; \
	  build/k2 config --doc; } >docs/settings.md

fmt: ## format all C files
	@find src tests bench \( -name '*.c' -o -name '*.h' \) -print0 | xargs -0 clang-format-14 -i

lint: ## the project's own checks, and the format
	@tools/tidy
	@find src tests bench \( -name '*.c' -o -name '*.h' \) -print0 | \
	  xargs -0 clang-format-14 --dry-run --Werror

install: release ## install to PREFIX (/usr/local)
	@cmake --install build/release --prefix "$(or $(PREFIX),/usr/local)"

clean: ## remove what was built (.deps stays)
	@rm -rf build

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1: /p' $(MAKEFILE_LIST) | \
	  while IFS=: read -r target text; do printf '%-10s%s\n' "$$target" "$$text"; done
