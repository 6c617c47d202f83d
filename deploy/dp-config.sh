#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# dp-config.sh MARLLB.YAML OUT: marllb-dp's own configuration, for the unit. One that is newer than what it is made of is left as it
# is, so that a start after a crash does not wait for node. Where a new one cannot be made, the last one serves.
set -euo pipefail
yaml=$1
out=$2
main=${0%/*}/../dist/programs/marllbctl.js
if [ "$out" -nt "$yaml" ] && [ "$out" -nt "$main" ]; then exit 0; fi
if node "$main" dp-config --config "$yaml" --out "$out"; then exit 0; fi
if [ ! -e "$out" ]; then exit 1; fi
echo "$yaml: not taken; the data plane starts with what it said before ($out)" >&2
