# One or two lines a target; `make` alone prints them. `make check` is what a commit must pass.
GO        ?= go
LINT      = $(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOFUMPT   = $(GO) run mvdan.cc/gofumpt@v0.12.0
DEADCODE  = $(GO) run golang.org/x/tools/cmd/deadcode@v0.52.0
FUZZTIME ?= 15s
SERVERS  ?= 3
# The commit goes in by hand: Go's own stamp is missing in a worktree, and switched off in many environments.
REVISION  = $(shell git ls-files --error-unmatch go.mod >/dev/null 2>&1 && git describe --always --abbrev=40 --dirty=-modified --exclude '*')
SEEDS    ?= 2000

.PHONY: help build run test race fuzz bench pgo microbench cover fmt vet lint check interop sim sim-fixed mutants jepsen defects docs clean

help: ## print the targets
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' Makefile

build: ## bin/quoll
	$(GO) build -ldflags '-X main.revision=$(REVISION)' -o bin/quoll ./cmd/quoll

run: build ## an ensemble of SERVERS servers on this machine, clients on 127.0.0.1:2181 and up
	bin/quoll dev --servers $(SERVERS)

test: ## everything that must hold, in minutes
	$(GO) test ./...

race: ## the same under the race detector
	$(GO) test -race ./...

fuzz: ## every fuzz target for FUZZTIME
	@for p in $$($(GO) list ./...); do for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz'); do \
	$(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$p || exit 1; done; done

bench: build build/zookeeper build/etcd build/etcdload ## Quoll, Apache ZooKeeper and etcd side by side, and the ratios
	bin/quoll compare --zookeeper build/zookeeper --etcd build/etcd --etcd-load build/etcdload --out build/bench $(BENCH)

build/zookeeper: jepsen/compat/pom.xml # the jars of Apache ZooKeeper, from Maven Central
	mvn -q -f $< dependency:copy-dependencies -DoutputDirectory=$(CURDIR)/$@

build/etcd: cmd/etcdload/go.mod # the server of etcd, as new as the client there, by way of a module that is thrown away
	rm -rf $@-module && mkdir -p $@-module && cd $@-module && $(GO) mod init etcd && \
	$(GO) get go.etcd.io/etcd/server/v3@$$(awk '$$1 == "go.etcd.io/etcd/client/v3" {print $$2}' $(CURDIR)/$<) && \
	$(GO) build -o ../etcd go.etcd.io/etcd/server/v3 && rm -rf ../etcd-module

build/etcdload: $(wildcard cmd/etcdload/* cmd/internal/measure/*.go) # the load generator for etcd, a module of its own
	cd cmd/etcdload && $(GO) test . && $(GO) build -o $(CURDIR)/$@ .

# The profile that the compiler is guided by: the servers under the loads that count.
pgo: build ## make cmd/quoll/default.pgo anew
	rm -rf build/profile && mkdir -p build/profile
	bin/quoll compare --only writes,creates,reads,mixed,linear,one-write --duration 10s --warmup 2s --profile build/profile > /dev/null
	$(GO) tool pprof -proto build/profile/*.cpu.pprof > cmd/quoll/default.pgo

microbench: ## every benchmark of the packages
	$(GO) test -run '^$$' -bench . -benchmem ./...

cover: ## test coverage, by function in cover.out
	$(GO) test -coverpkg=./... -coverprofile=cover.out ./... && $(GO) tool cover -func=cover.out | tail -1

fmt: ## format all Go files
	$(GOFUMPT) -l -w .

vet: ## go vet
	$(GO) vet ./...

lint: ## golangci-lint and unreachable functions
	$(LINT) run ./...
	@out=$$($(DEADCODE) -test ./...) && test -z "$$out" || { echo "$$out"; exit 1; }

check: vet lint test ## what a commit must pass; lint also refuses files that are not formatted

interop: build ## the test suites of clients that others wrote, against bin/quoll
	jepsen/compat/run

sim: sim-fixed ## the simulator: a fixed set of seeds, then SEEDS fresh ones, whose base is printed
	bin/quoll sim --seeds random+$(SEEDS)

sim-fixed: build
	bin/quoll sim --seeds 1-500

mutants: ## every deliberate bug, and which check of the simulator finds it
	$(GO) run ./jepsen/mutants/run

jepsen: build ## real processes, real clients, real faults: five workloads in a few minutes
	bin/quoll jepsen --matrix quick --for 6m --out build/jepsen $(JEPSEN)

defects: ## servers with a deliberate bug, and which check of the harness finds it
	$(GO) run ./jepsen/defects/run

docs: ## the documentation of every package, as text, in build/docs
	@mkdir -p build/docs && for p in $$($(GO) list ./...); do $(GO) doc -all $$p > build/docs/$$(echo $$p | tr / .).txt; done

clean: ## remove what the other targets made
	rm -rf bin build cover.out
