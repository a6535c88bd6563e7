# shellcheck shell=bash
# needs.sh: what building and testing take, found out by trying, and got from apt where it is missing. Sourced.
#
#   need demo|test       returns when all is there; otherwise installs it (root) or prints the line that does and exits
#   want PACKAGE...      installs what one test alone uses (root), or says that the test will be skipped
#   can_fuzz             is there a clang with libFuzzer, now that it was wanted?
#   quietly WHAT COMMAND...  what a step says is of interest only when it fails
#
# Trying instead of asking dpkg: a server built from source or named by PG_CONFIG is as good as a packaged one, and
# where nothing is missing apt is not called.

: "${PG_CONFIG:=pg_config}" "${CC:=gcc}" "${CLANG:=clang}"

quietly()    # WHAT COMMAND...
{
    local what=$1 log
    shift
    log=$(mktemp)
    if ! "$@" >"$log" 2>&1; then
        cat "$log" >&2
        echo "$what failed" >&2
        rm -f "$log"
        exit 1
    fi
    rm -f "$log"
}

compiles()    # SOURCE FLAG...: does this translation unit link?
{
    local source=$1
    shift
    printf '%s\n' "$source" | "$CC" -x c -shared -fPIC -o /dev/null - "$@" 2>/dev/null
}

# the major version of PostgreSQL: of the server to build for, or the one this system would install
pg_major()
{
    local version
    version=$("$PG_CONFIG" --version 2>/dev/null | sed -n 's/^PostgreSQL \([0-9]*\).*/\1/p')
    [ -n "$version" ] || version=$(apt-cache depends postgresql 2>/dev/null | sed -n 's/.*Depends: postgresql-\([0-9]*\)$/\1/p')
    echo "${version:-15}"
}

# the packages whose content is not there
missing()    # demo|test
{
    local major
    major=$(pg_major)
    compiles '#include <stdio.h>' || echo libc6-dev
    compiles '#include <cblas.h>' -lopenblas || echo libopenblas-dev
    [ -f "$("$PG_CONFIG" --pgxs 2>/dev/null)" ] || echo "postgresql-server-dev-$major"
    [ -x "$("$PG_CONFIG" --bindir 2>/dev/null)/initdb" ] || [ -x "/usr/lib/postgresql/$major/bin/initdb" ] ||
        echo "postgresql-$major"
    [ "$1" = demo ] || perl -MIPC::Run -MTest::More -e 1 2>/dev/null || echo libipc-run-perl
}

# Debian's server package starts a cluster of its own, which nobody asked for here: not while we install it.
without_main_cluster()    # COMMAND...
(
    dir=/etc/postgresql-common/createcluster.d
    trap 'rm -f "$dir/gnnrec.conf"; rmdir --ignore-fail-on-non-empty "$dir" "${dir%/*}"' EXIT
    mkdir -p "$dir"
    echo 'create_main_cluster = false' >"$dir/gnnrec.conf"
    "$@"
)

# what a single test uses, which is skipped without, of the packages that are made for this server
wanted()
{
    local major sharedir
    major=$(pg_major)
    sharedir=$("$PG_CONFIG" --sharedir)
    [ -f "$sharedir/extension/pg_cron.control" ] || [ "$sharedir" != "/usr/share/postgresql/$major" ] || echo "postgresql-$major-cron"
}

# Fetches the package lists when it does not work without: they may be out of date, or absent, and with them the version.
get()    # PACKAGE...
{
    local install='apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends'
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086
    without_main_cluster $install "$@" </dev/null || {
        apt-get update
        without_main_cluster $install "$@" </dev/null
    }
}

want()    # PACKAGE...
{
    local package
    for package in "$@"; do
        [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && get "$package" >/dev/null 2>&1 ||
            echo "$package is not installed: what tests it is skipped"
    done
}

links_fuzzer()
{
    echo 'int LLVMFuzzerTestOneInput(const unsigned char *data, unsigned long size) { return 0; }' |
        "$CLANG" -x c - -fsanitize=fuzzer,address,undefined -o /dev/null 2>/dev/null
}

can_fuzz()
{
    links_fuzzer || { want clang libclang-rt-dev && links_fuzzer; }
}

need()    # demo|test
{
    local packages line
    # a server somebody named is theirs to mend
    [ "$PG_CONFIG" = pg_config ] || "$PG_CONFIG" --version >/dev/null || exit
    packages=$(missing "$1" | paste -sd' ')
    [ -n "$packages" ] || return 0

    line="apt-get update && apt-get install -y --no-install-recommends $packages"
    if ! command -v apt-get >/dev/null; then
        echo "Missing here, by the names of their Debian packages: $packages" >&2
        exit 1
    elif [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null && line="sudo sh -c '$line'" || line="su -c '$line'"
        printf 'Something is missing. This installs it, then try again:\n%s\n' "$line" >&2
        exit 1
    fi

    echo "installing $packages"
    # shellcheck disable=SC2086
    quietly "installing" get $packages
    packages=$(missing "$1" | paste -sd' ')
    [ -z "$packages" ] || { echo "installed, but not found: $packages (PG_CONFIG=$PG_CONFIG)" >&2; exit 1; }
}
