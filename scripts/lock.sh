#!/bin/sh
# Pin every package that wellposed, its tests and its peers use into constraints.txt: resolve them together in a
# throw-away environment, and write down what came out.
set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --disable-pip-version-check -q hatchling==1.33.0 -e '.[dev,peers]'
{
    echo "# Every version that is installed, exactly. Made by \`make lock\`; do not edit by hand."
    "$work/venv/bin/pip" freeze --all --exclude-editable --exclude pip | sed -e 's/+cpu$//' | sort -f
} > constraints.txt
