#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# dp-stop.sh UNIT [MAINPID] [--user]: before systemd stops marllb-dp. Is it a restart, the supervisor leaves, and its data plane serves on
# until the next one takes over from it. At a stop nothing is done here: SIGTERM follows, and the data plane drains.
set -eu
unit=$1
pid=${2:-}
manager=${3:-}
if [ -z "$pid" ]; then exit 0; fi
# shellcheck disable=SC2086 # an empty word is none
if ! systemctl $manager list-jobs --no-legend --plain | grep -q " $unit restart "; then exit 0; fi
kill -USR2 "$pid"
while kill -0 "$pid" 2>/dev/null; do sleep 0.01; done
