#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds lb_rl_plugin.so against the installed VPP (VPP_PREFIX, else the system's) and, with --install, copies it to VPP's plugin folder.
set -euo pipefail
cd "$(dirname "$0")/../.."
prefix=${VPP_PREFIX:-/usr}
if [ ! -e "$prefix/include/vpp_plugins" ] && [ ! -e "$prefix/include/vnet/vnet.h" ]; then
	echo "no VPP headers under $prefix: run deploy/vpp/install-vpp.sh, or set VPP_PREFIX" >&2
	exit 1
fi
cmake -S vpp-plugin -B build/vpp -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH="$prefix"
cmake --build build/vpp --parallel
plugin=$(find build/vpp -name lb_rl_plugin.so | head -n 1)
echo "built $plugin"
if [ "${1:-}" = "--install" ]; then
	folder=$(find "$prefix" -type d -name vpp_plugins -path '*/lib*' | head -n 1)
	if [ -z "$folder" ]; then
		echo "no vpp_plugins folder under $prefix/lib*" >&2
		exit 1
	fi
	install -m 0644 "$plugin" "$folder/lb_rl_plugin.so.new"
	mv "$folder/lb_rl_plugin.so.new" "$folder/lb_rl_plugin.so"
	echo "installed in $folder; restart VPP to load it"
fi
