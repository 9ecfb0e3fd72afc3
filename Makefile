# Sluice: `make help` lists the targets.
#
# Layers are folders, listed bottom up; each becomes one static library, and whatever is linked gets its own layer's
# library and those below it: a call upwards does not link. scripts/layers.sh rejects upward includes as well.

SHELL := /bin/bash
.DEFAULT_GOAL := all
MAKEFLAGS += --no-builtin-rules
# Objects of tests are made on the way to programs; they are kept all the same.
.SECONDARY:

# V=1 shows the commands.
Q := $(if $(V),,@)
say = $(if $(V),@:,@printf "  %-6s %s\n" "$(1)" "$(2)")

# ---- Variants -------------------------------------------------------------------------------------------------------
# SAN=asan|tsan|cov builds the same tree into a folder of its own; DEBUG=1 adds the ledger's checks.
SAN ?=
DEBUG ?=
B := build$(if $(SAN),/$(SAN),$(if $(DEBUG),/debug))

CC := gcc
CLANG := clang-14
BPFTOOL := $(firstword $(wildcard /usr/sbin/bpftool) bpftool)
PREFIX ?= /usr/local
DESTDIR ?=
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

PKGS := libbpf libxdp libmnl libconfig json-c libpcap libcap-ng libseccomp
PKG_CFLAGS = $(shell pkg-config --cflags $(PKGS))
LDLIBS = -lxdp -lbpf -lelf -lz -lmnl -lconfig -ljson-c -lpcap -lcap-ng -lseccomp -lpthread -lm

WARN := -Wall -Wextra -Werror -Wshadow -Wconversion -Wmissing-prototypes -Wstrict-prototypes -Wpointer-arith \
	-Wwrite-strings -Wvla
CPPFLAGS := -D_GNU_SOURCE -Iinclude -I. -Ibuild/bpf
# x86-64-v2: every CPU since 2009 has it, and the routing table counts bits by POPCNT.
ARCH_CFLAGS := $(if $(filter x86_64,$(shell uname -m)),-march=x86-64-v2)
# Two narrow stores must not become a detour through vector registers: it costs more instructions than it saves.
CFLAGS := -std=c17 -O2 -g -fno-omit-frame-pointer -fno-tree-slp-vectorize $(ARCH_CFLAGS) $(WARN)
LDFLAGS :=

ifeq ($(SAN),asan)
CFLAGS += -fsanitize=address,undefined -fno-sanitize-recover=undefined -DSLUICE_DEBUG
LDFLAGS += -fsanitize=address,undefined
else ifeq ($(SAN),tsan)
CFLAGS += -fsanitize=thread -DSLUICE_DEBUG
LDFLAGS += -fsanitize=thread
else ifeq ($(SAN),cov)
CFLAGS += -O0 --coverage -DSLUICE_DEBUG
LDFLAGS += --coverage
else ifneq ($(DEBUG),)
CFLAGS += -DSLUICE_DEBUG
endif

# ---- Layers ---------------------------------------------------------------------------------------------------------
LAYERS := common packet net tcp ipsec nat offload sock gateway control

below_common  :=
below_packet  := common
below_net     := packet $(below_packet)
below_tcp     := net $(below_net)
below_ipsec   := net $(below_net)
below_nat     := net $(below_net)
below_offload := net $(below_net)
below_sock    := tcp nat offload ipsec net $(below_net)
below_gateway := sock $(below_sock)
below_control := gateway $(below_gateway)
below_cli     := control $(below_control)

dir_common := common
$(foreach l,$(filter-out common,$(LAYERS)) cli,$(eval dir_$(l) := user/$(l)))

srcs = $(wildcard $(dir_$(1))/*.c)
objs = $(patsubst %.c,$(B)/%.o,$(call srcs,$(1)))
# A layer without sources yet has no library.
lib = $(if $(call srcs,$(1)),$(B)/lib$(1).a)
libs = $(foreach l,$(1) $(below_$(1)),$(call lib,$(l)))

# ---- Programs -------------------------------------------------------------------------------------------------------
SLUICE := $(B)/sluice
PROGS := $(if $(call srcs,cli),$(SLUICE))
BENCH_BINS := $(patsubst tests/bench/%.c,$(B)/tests/bench/%,$(filter-out %.bpf.c,$(wildcard tests/bench/*.c)))
TOOL_BINS := $(patsubst tests/tools/%.c,$(B)/tests/tools/%,$(wildcard tests/tools/*.c))
UNIT_BINS := $(patsubst tests/unit/%.c,$(B)/tests/unit/%,$(wildcard tests/unit/*/test_*.c))
BPFTEST_BINS := $(patsubst tests/bpf/%.c,$(B)/tests/bpf/%,$(wildcard tests/bpf/test_*.c))

BPF_OBJS := $(patsubst bpf/%.bpf.c,build/bpf/%.bpf.o,$(wildcard bpf/*.bpf.c))
BPF_SKELS := $(BPF_OBJS:.bpf.o=.skel.h)
TESTBPF_OBJS := $(patsubst tests/%.bpf.c,build/tests/%.bpf.o,$(wildcard tests/*/*.bpf.c))

.PHONY: all bins FORCE
all: $(PROGS) ## build the gateway and its BPF programs
bins: all $(UNIT_BINS) $(BPFTEST_BINS) $(BENCH_BINS) $(TOOL_BINS) $(TESTBPF_OBJS) ## build everything, tests included

# ---- Rules ----------------------------------------------------------------------------------------------------------
$(B)/%.o: %.c | $(BPF_SKELS)
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(PKG_CFLAGS) $(CPPFLAGS_$(notdir $*)) -MMD -MP -c -o $@ $<

$(B)/user/cli/%.o: CPPFLAGS += -DSLUICE_VERSION='"$(VERSION)"'
$(B)/user/control/gateway_api.o: CPPFLAGS += -DSLUICE_VERSION='"$(VERSION)"'
# What tells the version is compiled again when there is another one.
$(B)/user/cli/main.o $(B)/user/control/gateway_api.o: build/version
build/version: FORCE
	@mkdir -p $(@D)
	@echo '$(VERSION)' | cmp -s - $@ || echo '$(VERSION)' >$@
FORCE:

define layer_rule
$(B)/lib$(1).a: $(call objs,$(1))
	$$(call say,AR,$$@)
	@rm -f $$@
	$(Q)ar rcs $$@ $$^
endef
$(foreach l,$(LAYERS),$(eval $(call layer_rule,$(l))))

$(SLUICE): $(call objs,cli) $(call libs,control)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

define unit_rule
$(B)/tests/unit/$(1)/test_%: $(B)/tests/unit/$(1)/test_%.o $(call libs,$(1))
	$$(call say,LD,$$@)
	$(Q)$$(CC) $$(LDFLAGS) -o $$@ $$^ $$(LDLIBS) -lcheck -lsubunit -lrt -lm
endef
$(foreach l,$(LAYERS),$(eval $(call unit_rule,$(l))))

$(B)/tests/bpf/test_%: $(B)/tests/bpf/test_%.o $(call libs,packet)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcheck -lsubunit -lrt -lm

$(B)/tests/bench/%: $(B)/tests/bench/%.o $(call libs,control)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(B)/tests/tools/%: $(B)/tests/tools/%.o $(call libs,common)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

BPF_CFLAGS := -target bpf -mcpu=v3 -std=gnu17 -O2 -g -Wall -Wextra -Werror -Iinclude -I. \
	-I/usr/include/$(shell uname -m)-linux-gnu
build/bpf/%.bpf.o: bpf/%.bpf.c
	@mkdir -p $(@D)
	$(call say,BPF,$@)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -MF $(@:.o=.d) -MT $@ -c -o $@ $<

build/tests/%.bpf.o: tests/%.bpf.c
	@mkdir -p $(@D)
	$(call say,BPF,$@)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -MF $(@:.o=.d) -MT $@ -c -o $@ $<

build/bpf/%.skel.h: build/bpf/%.bpf.o
	$(call say,SKEL,$@)
	$(Q){ echo "#pragma GCC system_header"; echo "/* NOLINTBEGIN: written by bpftool */"; \
		$(BPFTOOL) gen skeleton $< name $(subst .,_,$*)_bpf && echo "/* NOLINTEND */"; } > $@.tmp
	@mv $@.tmp $@

# ---- Fuzz targets: tests/fuzz/fuzz_NAME.c over every layer, seeds in tests/vectors/fuzz/NAME/ -----------------------
FUZZ_SECONDS ?= 10
FUZZ_BINS := $(patsubst tests/fuzz/%.c,build/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_OBJS := $(patsubst %.c,build/fuzz/%.o,$(foreach l,$(LAYERS),$(call srcs,$(l))))
FUZZ_CFLAGS := -std=c17 -O1 -g -fno-omit-frame-pointer -DSLUICE_DEBUG -fsanitize=fuzzer-no-link,address,undefined \
	-fno-sanitize-recover=undefined

build/fuzz/%.o: %.c | $(BPF_SKELS)
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CLANG) $(CPPFLAGS) $(FUZZ_CFLAGS) $(PKG_CFLAGS) $(CPPFLAGS_$(notdir $*)) -MMD -MP -c -o $@ $<

build/fuzz/libsluice.a: $(FUZZ_OBJS)
	@rm -f $@
	$(call say,AR,$@)
	$(Q)ar rcs $@ $^

build/fuzz/fuzz_%: build/fuzz/tests/fuzz/fuzz_%.o build/fuzz/libsluice.a
	$(call say,LD,$@)
	$(Q)$(CLANG) -fsanitize=fuzzer,address,undefined -o $@ $^ $(LDLIBS)

# ---- Tests ----------------------------------------------------------------------------------------------------------
.PHONY: deps unit bpf-test net-test test asan tsan cov fuzz fuzz-seeds soak soak-short lint bench demo vm-test vm-short
deps: ## install what is missing (Debian 12, root)
	@scripts/deps.sh

unit: $(UNIT_BINS) ## unit tests: no root, seconds
	@scripts/run-tests.sh unit $(UNIT_BINS)

bpf-test: all $(BPFTEST_BINS) ## BPF_PROG_TEST_RUN tests (root)
	@scripts/run-tests.sh bpf $(BPFTEST_BINS)

net-test: bins ## network-namespace tests against the real kernel (root)
	@B=$(B) tests/net/run.sh $(ONLY)

fuzz-seeds: $(FUZZ_BINS) ## each fuzz target over its seeds and for two seconds
	@FUZZ_SECONDS=2 scripts/run-fuzz.sh $(FUZZ_BINS)

fuzz: $(FUZZ_BINS) ## fuzz targets over their seeds, then FUZZ_SECONDS (10) seconds each
	@FUZZ_SECONDS=$(FUZZ_SECONDS) scripts/run-fuzz.sh $(FUZZ_BINS)

# One after the other, whatever -j says: they measure, and share the machine's kernel.
TEST_PARTS ?= unit bpf-test net-test fuzz-seeds asan:unit asan:bpf-test asan:net-test soak-short vm-short
test: ## everything, sanitizers included (root)
	+@$(MAKE) --no-print-directory bins
	+@MAKE="$(MAKE)" scripts/test.sh $(TEST_PARTS)

soak: bins ## mixed load for SOAK_SECONDS (600): all frames home, no growth of memory (root)
	@B=$(B) SOAK_SECONDS=$${SOAK_SECONDS:-600} tests/net/soak.sh

soak-short: bins ## 30 seconds of it, for CI
	@B=$(B) SOAK_SECONDS=30 tests/net/soak.sh

asan: ## unit and namespace tests under ASan and UBSan (root)
	+@MAKE="$(MAKE)" scripts/test.sh asan:bins asan:unit asan:bpf-test asan:net-test

tsan: ## unit and namespace tests under TSan (root)
	+@MAKE="$(MAKE)" scripts/test.sh tsan:bins tsan:unit tsan:net-test

cov: ## line coverage of the unit tests, by layer
	@find build/cov -name '*.gcda' -delete 2>/dev/null || true
	@$(MAKE) --no-print-directory SAN=cov unit
	@scripts/coverage.sh build/cov

bench: bins ## the figures against their peers (root); ONLY=a,b and BENCH_SECONDS=n
	@B=$(B) tests/bench/run.sh

demo: ## both topologies on real traffic, and the table against the kernel (root, three minutes)
	@scripts/deps.sh
	@$(MAKE) bins
	@B=$(B) scripts/demo.sh

lint: all ## layers, clang-tidy, cppcheck, shellcheck
	@scripts/lint.sh

install: all ## into PREFIX (/usr/local), DESTDIR in front
	install -D -m 755 $(SLUICE) $(DESTDIR)$(PREFIX)/sbin/sluice
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/sluice README.md LICENSE
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/sluice/examples topology/example.conf

uninstall: ## what install put there
	rm -f $(DESTDIR)$(PREFIX)/sbin/sluice
	rm -rf $(DESTDIR)$(PREFIX)/share/doc/sluice

vm-short: bins ## the part of vm-test that runs in CI: 6.1, and libxdp's dispatcher on the newest kernel
	@scripts/deps.sh guest
	@B=$(B) tests/vm/run.sh old-kernel dispatcher

vm-test: bins ## the gateway under Debian's 6.1 and newest kernels, in QEMU guests (root, downloads 70 MB once)
	@scripts/deps.sh guest
	@B=$(B) tests/vm/run.sh $(ONLY)

# ---- The rest -------------------------------------------------------------------------------------------------------
.PHONY: clean help install uninstall
clean: ## remove build/
	rm -rf build

help: ## this list
	@grep -hE '^[a-z][a-z0-9 -]*:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-10s %s\n", $$1, $$2}'

-include $(shell find build -name '*.d' 2>/dev/null)
