# gnnrec: a PostgreSQL extension in two shared objects (see README.md, "How it is built").
EXTENSION = gnnrec
DATA = $(wildcard sql/gnnrec--*.sql)
PURE = $(wildcard src/core/*.c) $(wildcard src/model/*.c) $(wildcard src/train/*.c)
SERVER = $(wildcard src/*.c) $(wildcard src/pg/*.c) $(wildcard src/api/*.c)
MODULE_big = gnnrec
OBJS = $(SERVER:.c=.o) $(PURE:.c=.o)

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
PG_CPPFLAGS = -I$(srcdir)/src
PG_CFLAGS = -O3 -std=gnu11 -Wextra -Wno-unused-parameter -Wno-sign-compare -fvisibility=hidden -ffunction-sections -fdata-sections
SHLIB_LINK = -Wl,--gc-sections -lm
with_llvm = no
EXTRA_CLEAN = gnnrec_train.so build
include $(PGXS)

# The training library: the pure layers once more, with OpenBLAS and OpenMP. Opened by the training process alone.
TRAIN_CFLAGS = -O3 -std=gnu11 -g -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -fPIC -fvisibility=hidden -fopenmp -DGNN_BLAS -I$(srcdir)/src
gnnrec_train.so: $(PURE) $(wildcard src/core/*.h src/model/*.h src/train/*.h)
	$(CC) $(TRAIN_CFLAGS) -shared -o $@ $(PURE) -lopenblas -lm

all: gnnrec_train.so
install: install-train
install-train: gnnrec_train.so
	$(MKDIR_P) '$(DESTDIR)$(pkglibdir)'
	$(INSTALL_SHLIB) gnnrec_train.so '$(DESTDIR)$(pkglibdir)/'
$(OBJS): $(wildcard src/*/*.h)
.PHONY: install-train
