#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Stops everything that deploy/start.sh starts; the data plane last, after it has drained. VPP is left as it is.
set -euo pipefail
systemctl stop marllb@shm-agent marllb@inference marllb@failover marllb@health marllb@console
systemctl stop marllb-dp
echo "stopped"
