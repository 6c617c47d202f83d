#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Starts the installed controller (and the embedded data plane unless --no-dataplane: with VPP), and waits until it is attached.
set -euo pipefail
parts=(marllb@failover marllb@health marllb@inference marllb@shm-agent marllb@console)
if [ "${1:-}" != "--no-dataplane" ]; then parts=(marllb-dp "${parts[@]}"); fi
systemctl start "${parts[@]}" || echo "not all started at once; systemd tries on" >&2
ctl=(node "${PREFIX:-/opt/marllb}/dist/programs/marllbctl.js" status --config /etc/marllb/marllb.yaml --json)
for _ in $(seq 50); do
	if "${ctl[@]}" 2>/dev/null | grep -q '"attached": true'; then
		echo "running and attached"
		exit 0
	fi
	sleep 0.2
done
echo "started, but the agent is not attached to a data plane after 10 s: journalctl -u marllb@shm-agent" >&2
exit 1
