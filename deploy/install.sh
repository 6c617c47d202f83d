#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs a built checkout on this host: /opt/marllb, /etc/marllb/marllb.yaml (kept if it is there), a user, systemd units. Needs root.
# Starts nothing. Undo: deploy/install.sh --remove (keeps /etc/marllb, /var/lib/marllb and the user marllb).
set -euo pipefail
usage="usage: deploy/install.sh [--remove]
Installs a built checkout in PREFIX (/opt/marllb), units in UNITS (/etc/systemd/system), /etc/marllb/marllb.yaml (kept if it is there) and
the command marllbctl in BIN (/usr/local/bin), its manual and completion in SHARE (/usr/local/share). Starts nothing. --remove takes it away again; /etc/marllb, /var/lib/marllb and the user marllb stay."
case "$#:${1:-}" in
0: | 1:--remove) ;;
1:--help | 1:-h)
	echo "$usage"
	exit 0
	;;
*)
	echo "install.sh: $*: expected nothing or --remove; nothing was done" >&2
	echo "$usage" >&2
	exit 2
	;;
esac
cd "$(dirname "$0")/.."
prefix=${PREFIX:-/opt/marllb}
units=${UNITS:-/etc/systemd/system}
bin=${BIN:-/usr/local/bin}
share=${SHARE:-/usr/local/share}

if [ "$(id -u)" != 0 ]; then
	echo "install.sh needs root: sudo deploy/install.sh" >&2
	exit 1
fi
if [ "${1:-}" = "--remove" ]; then
	systemctl disable --now marllb-dp marllb-vpp marllb@shm-agent marllb@inference marllb@health marllb@failover marllb@console 2>/dev/null || true
	rm -rf "$prefix" "$units/marllb-dp.service" "$units/marllb-vpp.service" "$units/marllb@.service"
	rm -f "$bin/marllbctl" "$share/man/man1/marllbctl.1" "$share/bash-completion/completions/marllbctl"
	systemctl daemon-reload 2>/dev/null || true
	exit 0
fi
for need in build/native/bin/marllb-dp dist/programs/shm-agent.js node_modules; do
	if [ ! -e "$need" ]; then
		echo "$need is missing: run npm run build first (as an ordinary user)" >&2
		exit 1
	fi
done
getent passwd marllb >/dev/null || useradd --system --home-dir /var/lib/marllb --shell /usr/sbin/nologin marllb
# A new folder and a rename: a running process keeps the files that it has open.
rm -rf "$prefix.new"
mkdir -p "$prefix.new/build/native"
cp -r dist proto node_modules package.json package-lock.json .npmrc docs deploy "$prefix.new/"
# What only builds and tests need stays behind.
(cd "$prefix.new" && npm prune --omit=dev --ignore-scripts --offline --loglevel=error >/dev/null)
find "$prefix.new/dist" -type d -name test -prune -exec rm -rf {} +
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
install -d "$bin"
printf '#!/bin/sh\nexec node %s/dist/programs/marllbctl.js "$@"\n' "$prefix" >"$bin/marllbctl"
chmod 0755 "$bin/marllbctl"
install -d "$share/man/man1" "$share/bash-completion/completions"
"$bin/marllbctl" manual >"$share/man/man1/marllbctl.1"
"$bin/marllbctl" completion bash >"$share/bash-completion/completions/marllbctl"
install -m 0644 deploy/systemd/*.service "$units/"
systemctl daemon-reload 2>/dev/null || true
echo "installed in $prefix; edit /etc/marllb/marllb.yaml, then:"
echo "  systemctl enable --now marllb-dp marllb@shm-agent marllb@inference marllb@health marllb@failover marllb@console"
