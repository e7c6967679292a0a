#!/bin/sh
# Makes the virtual environment. Idempotent: run it as often as you like.
# usage: PYTHON=python3 sh scripts/setup.sh .venv
set -eu

venv=${1:-.venv}
python=${PYTHON:-python3}

new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

# `python3` may be the system's old one while a newer one is installed beside it.
if [ "$python" = python3 ] && ! new_enough python3; then
    for python in python3.14 python3.13 python3.12 python3.11 python3; do
        if new_enough "$python"; then break; fi
    done
fi
if ! new_enough "$python"; then
    echo "PenguinMails needs Python 3.11 or newer; '$python' is not. Set PYTHON=/path/to/python3.11." >&2
    exit 1
fi

# The development groups of pyproject.toml as plain requirements, for installers that do not know groups.
requirements() {
    "$python" - <<'PY'
import tomllib

with open("pyproject.toml", "rb") as file:
    groups = tomllib.load(file)["dependency-groups"]


def flatten(name):
    for item in groups[name]:
        if isinstance(item, dict):
            yield from flatten(item["include-group"])
        else:
            yield item


print("\n".join(flatten("dev")))
PY
}

list=$(mktemp)
trap 'rm -f "$list"' EXIT
requirements >"$list"

if command -v uv >/dev/null 2>&1; then
    [ -x "$venv/bin/python" ] || uv venv --quiet --python "$python" "$venv"
    uv pip install --quiet --python "$venv/bin/python" -c constraints.txt -r "$list" -e . -e sdks/python
else
    if [ ! -x "$venv/bin/pip" ]; then
        rm -rf "$venv"
        if ! "$python" -m venv "$venv"; then
            echo "Python's venv module is missing: install it (Debian: apt-get install python3-venv) or install uv." >&2
            exit 1
        fi
    fi
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt -r "$list" -e . -e sdks/python
fi
