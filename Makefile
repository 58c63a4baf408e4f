SHELL := /usr/bin/env bash
.DEFAULT_GOAL := help

CARGO  ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)
BUF    := tools/node_modules/.bin/buf

##@ Daily work

.PHONY: help
help: ## Show this help
	@awk 'BEGIN { FS = ":.*## " } /^##@/ { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: ## Build and start the service on HTTP 8001 and gRPC 9001, with its own embedded database
	@$(CARGO) build --locked --bin catalog-service
	@LOG_FORMAT=$${LOG_FORMAT:-text} exec $(TARGET)/debug/catalog-service

.PHONY: build
build: ## Build ./bin/catalog-service and ./bin/migrate, optimised
	$(CARGO) build --locked --release --bins
	@mkdir -p bin
	@install -m 755 $(TARGET)/release/catalog-service $(TARGET)/release/migrate bin/

.PHONY: test
test: ## Run every test (CI=true turns a skipped one into a failure)
	@scripts/test.sh

.PHONY: fmt
fmt: tools ## Format the Rust and the proto files
	$(CARGO) fmt --all
	$(BUF) format --write

.PHONY: lint
lint: tools ## Check format and lints of Rust, proto files, scripts and licences
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- --deny warnings
	$(BUF) lint
	$(BUF) format --diff --exit-code
	@scripts/lint-tools.sh

.PHONY: breaking
breaking: tools ## Check the proto files for changes that break clients (AGAINST=branch, main by default)
	$(BUF) breaking --against '.git#branch=$(or $(AGAINST),main)'

.PHONY: demo
demo: ## Load 10,000 products into the running service through its API (COUNT=, URL=)
	@$(CARGO) build --locked --quiet --bin catalog-service
	@$(TARGET)/debug/catalog-service demo --count $(or $(COUNT),10000) --url $(or $(URL),http://127.0.0.1:9001)

.PHONY: bench
bench: ## Measure requests, reads, events and transcoding, each beside the bare way in the same run; writes docs/performance.md
	@scripts/bench.sh

.PHONY: load-test stress-test endurance-test
load-test: ## Call the service 1000 times a second and check what is promised (URL=, RATE=, DURATION=)
	@scripts/load-test.sh load

stress-test: ## Call it more and more often, until what is promised is no longer kept
	@scripts/load-test.sh stress

endurance-test: ## Call it for an hour, and look at its memory too
	@scripts/load-test.sh endurance

.PHONY: conformance
conformance: ## Run the protobuf conformance suite over the generated JSON mapping
	@scripts/conformance.sh

.PHONY: connect-conformance
connect-conformance: ## Run the Connect conformance suite over a server on the engine, by Connect, gRPC and gRPC-Web
	@scripts/connect-conformance.sh

.PHONY: corpus
corpus: ## Build the protos of Google's APIs, and call each of their 15,000 HTTP rules through the router
	@scripts/corpus.sh

.PHONY: coverage
coverage: ## Measure which lines the tests run, and fail below 80 %
	@scripts/coverage.sh

.PHONY: clean
clean: ## Remove what was built and the tools; the data of `make run` in .data stays
	$(CARGO) clean
	rm -rf bin .tools tools/node_modules tools/corpus/node_modules sdk/typescript/node_modules sdk/typescript/dist

##@ Generated files

.PHONY: openapi
openapi: ## Write openapi/openapi.json and openapi/openapi.yaml
	@$(CARGO) build --locked --quiet --bin catalog-service
	@mkdir -p openapi
	$(TARGET)/debug/catalog-service openapi --format json > $(TARGET)/openapi.json
	$(TARGET)/debug/catalog-service openapi --format yaml > $(TARGET)/openapi.yaml
	@mv $(TARGET)/openapi.json $(TARGET)/openapi.yaml openapi/

.PHONY: asyncapi
asyncapi: ## Write docs/events/: asyncapi.json, asyncapi.yaml and a page for each event
	@$(CARGO) build --locked --quiet --bin catalog-service
	@rm -rf $(TARGET)/events
	$(TARGET)/debug/catalog-service asyncapi --write $(TARGET)/events
	@rm -rf docs/events && mkdir -p docs && mv $(TARGET)/events docs/events

.PHONY: sdk
sdk: ## Write the TypeScript and Python clients under sdk/
	@scripts/generate-sdk.sh

.PHONY: sqlx
sqlx: ## Write .sqlx/, what the compiler knows of the queries
	@scripts/sqlx-prepare.sh

.PHONY: schema
schema: ## Write docs/database/README.md, the tables that the migrations make
	@UPDATE_GOLDEN=1 $(CARGO) test --locked --quiet --package catalog-service --test it documents::database

##@ Migrations (DATABASE_URL says where)

.PHONY: migrate-up migrate-down migrate-down-steps migrate-status migrate-version migrate-force migrate-create

bin/migrate:
	@$(MAKE) build

migrate-up: ## Apply all pending migrations
	@echo "Applying migrations..."
	@if [ -z "$(DATABASE_URL)" ]; then echo "DATABASE_URL is required"; exit 1; fi
	@$(MAKE) --no-print-directory bin/migrate
	./bin/migrate -database-url "$(DATABASE_URL)" -command up

migrate-down: ## Roll the last migration back
	@echo "Rolling back migration..."
	@if [ -z "$(DATABASE_URL)" ]; then echo "DATABASE_URL is required"; exit 1; fi
	@$(MAKE) --no-print-directory bin/migrate
	./bin/migrate -database-url "$(DATABASE_URL)" -command down -steps 1

migrate-down-steps: ## Roll STEPS migrations back
	@if [ -z "$(STEPS)" ]; then echo "Usage: make migrate-down-steps STEPS=number"; exit 1; fi
	@if [ -z "$(DATABASE_URL)" ]; then echo "DATABASE_URL is required"; exit 1; fi
	@$(MAKE) --no-print-directory bin/migrate
	@echo "Rolling back $(STEPS) migrations..."
	./bin/migrate -database-url "$(DATABASE_URL)" -command down -steps $(STEPS)

migrate-status: ## Show the version of the database
	@echo "Migration status:"
	@if [ -z "$(DATABASE_URL)" ]; then echo "DATABASE_URL is required"; exit 1; fi
	@$(MAKE) --no-print-directory bin/migrate
	./bin/migrate -database-url "$(DATABASE_URL)" -command version

migrate-version: migrate-status ## The same

migrate-force: ## Say that the database is at VERSION, without running anything
	@if [ -z "$(VERSION)" ]; then echo "Usage: make migrate-force VERSION=version_number"; exit 1; fi
	@if [ -z "$(DATABASE_URL)" ]; then echo "DATABASE_URL is required"; exit 1; fi
	@$(MAKE) --no-print-directory bin/migrate
	@echo "Forcing migration version to $(VERSION)..."
	./bin/migrate -database-url "$(DATABASE_URL)" -command force -version $(VERSION)

migrate-create: ## Make empty files for a migration called NAME
	@if [ -z "$(NAME)" ]; then echo "Usage: make migrate-create NAME=migration_name"; exit 1; fi
	@echo "Creating migration files for: $(NAME)"
	@TIMESTAMP=$$(date +%Y%m%d%H%M%S); \
	touch migrations/$${TIMESTAMP}_$(NAME).up.sql; \
	touch migrations/$${TIMESTAMP}_$(NAME).down.sql; \
	echo "Created: migrations/$${TIMESTAMP}_$(NAME).up.sql"; \
	echo "Created: migrations/$${TIMESTAMP}_$(NAME).down.sql"

.PHONY: tools
tools:
	@. scripts/lib.sh && need_npm tools
