# gnnrec: a PostgreSQL extension in two shared objects (README.md, "How it is built").
#
#   make demo            everything from nothing: installs what is missing, builds, serves a small shop from a throw-away server
#   make test            the same way, runs every test
#   make                 builds for the server of PG_CONFIG; then make install, make installcheck as with any extension
#   make fuzz            random bytes for SECONDS=60 and from SEED=1 for each thing that reads bytes (test/fuzz)
#   make sqlsmith        random queries for MINUTES=60, from SEED=1 (test/sqlsmith.sh)
#   make layercheck      the rules of the house that a compiler does not know
#
# Both libraries are built below build/, the server's objects in build/server, those of the training library in build/train.

EXTENSION = gnnrec
DATA = $(wildcard sql/gnnrec--*.sql)

# gnnrec.so: what every backend loads. No BLAS, no threads.
PURE = $(wildcard src/core/*.c src/model/*.c src/train/*.c)
SERVER = $(wildcard src/*.c src/pg/*.c src/api/*.c)
MODULE_big = gnnrec
OBJS = $(patsubst src/%.c, build/server/%.o, $(SERVER) $(PURE))

# gnnrec_train.so: the pure layers once more, with OpenBLAS and OpenMP. Opened by the training process alone.
TRAIN_OBJS = $(patsubst src/%.c, build/train/%.o, $(PURE))

WARNINGS = -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers
SECTIONS = -fvisibility=hidden -ffunction-sections -fdata-sections
# Nothing is exported but what the server looks up by name. Before version 16 its headers do not mark that: hence
# the definition here, and SQL functions, which they declare without it, are all that api/ does not make static.
# core's asserts are for its unit tests: a server does not abort.
PG_CPPFLAGS = -Isrc -DNDEBUG '-DPGDLLEXPORT=__attribute__((visibility("default")))'
PG_CFLAGS = -O3 -std=gnu11 $(WARNINGS) -Wno-unknown-pragmas $(SECTIONS)
SHLIB_LINK = -Wl,--gc-sections -Wl,--version-script=src/gnnrec.map -lm
TRAIN_CFLAGS = -O3 -fno-math-errno -std=gnu11 -g $(WARNINGS) $(SECTIONS) -fPIC -fopenmp -DGNN_BLAS -DNDEBUG -Isrc
TRAIN_LINK = -shared -fopenmp -Wl,-z,relro -Wl,-z,now -Wl,--gc-sections -Wl,--version-script=src/gnnrec_train.map -lopenblas -lm

# The files in sql/ that are not install or upgrade scripts, and the specs and TAP tests below test/. The extension is
# in the database before the first file runs.
REGRESS = $(sort $(foreach sql, $(wildcard sql/*.sql), $(if $(findstring --, $(sql)),, $(basename $(notdir $(sql))))))
REGRESS_OPTS = --load-extension=gnnrec
ISOLATION = $(sort $(basename $(notdir $(wildcard test/specs/*.spec))))
ISOLATION_OPTS = --inputdir=test --load-extension=gnnrec
TAP_TESTS = $(sort $(wildcard test/t/*.pl))
PROVE_TESTS = $(TAP_TESTS)

# The server's clang is not needed: just-in-time inlining gains nothing here.
override with_llvm = no
EXTRA_CLEAN = gnnrec_train.so build

PG_CONFIG ?= pg_config
PGXS := $(wildcard $(shell $(PG_CONFIG) --pgxs 2>/dev/null))

ifneq ($(PGXS),)
include $(PGXS)

all: gnnrec_train.so
install: install-train
uninstall: uninstall-train

build/server/%.o: src/%.c
	@$(MKDIR_P) $(@D)
	$(CC) $(CFLAGS) $(CPPFLAGS) -MMD -MP -c -o $@ $<

build/server/api/%.o: override CFLAGS += -fvisibility=default

build/train/%.o: src/%.c
	@$(MKDIR_P) $(@D)
	$(CC) $(TRAIN_CFLAGS) -MMD -MP -c -o $@ $<

gnnrec.so: src/gnnrec.map
gnnrec_train.so: $(TRAIN_OBJS) src/gnnrec_train.map
	$(CC) -o $@ $(TRAIN_OBJS) $(TRAIN_LINK)

# a changed flag is a changed object
$(OBJS) $(TRAIN_OBJS): Makefile
-include $(OBJS:.o=.d) $(TRAIN_OBJS:.o=.d)

install-train: gnnrec_train.so installdirs
	$(INSTALL_SHLIB) $< '$(DESTDIR)$(pkglibdir)/'
uninstall-train:
	rm -f '$(DESTDIR)$(pkglibdir)/gnnrec_train.so'

layercheck: all
	@PG_CONFIG='$(PG_CONFIG)' bash test/layercheck.sh

.PHONY: install-train uninstall-train layercheck
else
# demo and test start without a server and get one; the other goals cannot
all install uninstall installcheck clean layercheck:
	@echo "$(PG_CONFIG) knows no PostgreSQL to build for:" >&2
	@echo "install the server's development package, or name its pg_config (make PG_CONFIG=...)" >&2
	@false
endif

demo test sqlsmith:
	@PG_CONFIG='$(PG_CONFIG)' bash test/$@.sh
fuzz:
	@$(MAKE) -s -C test/fuzz check SECONDS=$(or $(SECONDS),60) SEED=$(or $(SEED),1)
.PHONY: demo test sqlsmith fuzz
