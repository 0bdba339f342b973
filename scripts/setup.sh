#!/bin/sh
# Build .venv and install into it exactly what the hash-pinned requirement files say.
#
# usage: scripts/setup.sh run   what `nova` needs, and nova itself
#        scripts/setup.sh dev   what the tests and checks need on top
#
# Needs Python 3.11 or newer with its venv module, and a Python package index; nothing else.
# PYTHON names another interpreter. Safe to call again.
set -eu
cd "$(dirname "$0")/.."

VENV=.venv
WANTED='import sys; sys.exit(not sys.version_info >= (3, 11))'
TESTED='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'

say() { printf '  %s\n' "$*"; }

fail() {
    printf 'setup: %s\n' "$1" >&2
    shift
    for line in "$@"; do printf '       %s\n' "$line" >&2; done
    exit 1
}

# Prefer a version for which every package has a ready-made wheel; then take any that is new enough.
find_python() {
    for test in "$TESTED" "$WANTED"; do
        for name in python3 python3.13 python3.12 python3.11; do
            if "$name" -c "$test" 2>/dev/null; then
                echo "$name"
                return
            fi
        done
    done
    found=$(python3 --version 2>/dev/null || echo 'no python3 at all')
    fail "Nova needs Python 3.11 or newer, found $found." \
        "Install it (Debian, Ubuntu: apt-get install python3 python3-venv) or name one:" \
        "make setup PYTHON=/path/to/python3.12"
}

create_venv() {
    if [ -x $VENV/bin/python ] && $VENV/bin/python -c "$WANTED" 2>/dev/null; then
        return
    fi
    python=${PYTHON:-$(find_python)}
    "$python" -c "$WANTED" 2>/dev/null ||
        fail "PYTHON should be Python 3.11 or newer, was '$python'."
    "$python" -c 'import venv, ensurepip' 2>/dev/null ||
        fail "$python has no venv module." "Debian, Ubuntu: apt-get install python3-venv"
    say "creating $VENV with $("$python" --version)"
    "$python" -c "$TESTED" ||
        say "note: tested on Python 3.11 to 3.13; other versions may need a C compiler"
    rm -rf $VENV
    "$python" -m venv $VENV
}

# uv installs about six times faster than pip; pip stands in where uv finds no index (it does not
# read pip's configuration, so a mirror or certificate that only pip knows ends here).
install() {
    if VIRTUAL_ENV=$VENV $VENV/bin/uv pip install --quiet "$@"; then
        return
    fi
    say "uv could not install; trying again with pip"
    $VENV/bin/python -m pip install --quiet --disable-pip-version-check "$@" ||
        fail "the packages could not be installed; the reason is above." \
            "Is a Python package index reachable from here?"
}

install_run() {
    say "installing the pinned packages (about 700 MB on disk)"
    $VENV/bin/python -m pip install --quiet --disable-pip-version-check \
        --require-hashes -r requirements-build.txt ||
        fail "the installer could not be installed; the reason is above." \
            "Is a Python package index reachable from here?"
    install --require-hashes -r requirements.txt
    say "installing nova"
    install --no-deps --no-build-isolation -e .
}

create_venv
case ${1:-run} in
run)
    install_run
    ;;
dev)
    say "installing what the tests and checks need"
    install --require-hashes -r requirements-dev.txt
    ;;
*)
    fail "the first argument should be run or dev, was '$1'."
    ;;
esac
