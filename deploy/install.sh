#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs a built checkout on this host: /opt/marllb, /etc/marllb/marllb.yaml (kept if it is there), a user, systemd units. Needs root.
# Starts nothing. Undo: deploy/install.sh --remove (keeps /etc/marllb and /var/lib/marllb).
set -euo pipefail
cd "$(dirname "$0")/.."
prefix=${PREFIX:-/opt/marllb}
units=${UNITS:-/etc/systemd/system}

if [ "$(id -u)" != 0 ]; then
	echo "install.sh needs root: sudo deploy/install.sh" >&2
	exit 1
fi
if [ "${1:-}" = "--remove" ]; then
	systemctl disable --now marllb-dp marllb@shm-agent marllb@inference marllb@health marllb@failover 2>/dev/null || true
	rm -rf "$prefix" "$units/marllb-dp.service" "$units/marllb@.service"
	systemctl daemon-reload 2>/dev/null || true
	exit 0
fi
for need in build/native/bin/marllb-dp dist/services/shm-agent/main.js node_modules; do
	if [ ! -e "$need" ]; then
		echo "$need is missing: run npm run build first (as an ordinary user)" >&2
		exit 1
	fi
done
getent passwd marllb >/dev/null || useradd --system --home-dir /var/lib/marllb --shell /usr/sbin/nologin marllb
# A new folder and a rename: a running process keeps the files that it has open.
rm -rf "$prefix.new"
mkdir -p "$prefix.new/build/native"
cp -r dist proto node_modules package.json docs deploy "$prefix.new/"
if [ -d models ]; then cp -r models "$prefix.new/"; fi
cp -r build/native/bin "$prefix.new/build/native/"
rm -rf "$prefix.old"
if [ -d "$prefix" ]; then mv "$prefix" "$prefix.old"; fi
mv "$prefix.new" "$prefix"
rm -rf "$prefix.old"
install -d /etc/marllb
# Region and control socket in a folder that only marllb writes to: in /dev/shm anybody could take the names before it starts.
if [ ! -e /etc/marllb/marllb.yaml ]; then
	sed 's|^  path: /dev/shm/lb_rl_shm |  path: /run/marllb/lb_rl_shm |' deploy/config/marllb.yaml >/etc/marllb/marllb.yaml
	chmod 0644 /etc/marllb/marllb.yaml
fi
install -m 0644 deploy/systemd/*.service "$units/"
systemctl daemon-reload 2>/dev/null || true
echo "installed in $prefix; edit /etc/marllb/marllb.yaml, then:"
echo "  systemctl enable --now marllb-dp marllb@shm-agent marllb@inference marllb@health marllb@failover"
