#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs VPP from fd.io's packages on Ubuntu or Debian, with the headers that the plugin is built against. Needs root and the network.
# usage: deploy/vpp/install-vpp.sh [RELEASE]   RELEASE: release (default: the newest one) or a branch such as 2606
set -euo pipefail
repo=${1:-release}
if [ "$(id -u)" != 0 ]; then
	echo "install-vpp.sh needs root: sudo deploy/vpp/install-vpp.sh" >&2
	exit 1
fi
if ! command -v apt-get >/dev/null; then
	echo "install-vpp.sh is for Ubuntu and Debian; elsewhere see https://fd.io/docs (packages) and build with VPP_PREFIX" >&2
	exit 1
fi
apt-get update -qq
apt-get install -y -qq curl ca-certificates gnupg cmake g++ make
# fd.io's own installation script adds its repository and key.
curl -fsSL "https://packagecloud.io/install/repositories/fdio/$repo/script.deb.sh" | bash
apt-get install -y vpp vpp-plugin-core vpp-plugin-dpdk vpp-dev libvppinfra libvppinfra-dev
vpp_version=$(dpkg-query -W -f='${Version}' vpp)
echo "VPP $vpp_version is installed; the plugin needs 26.06 or newer. Next: deploy/vpp/build-plugin.sh"
