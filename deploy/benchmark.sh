#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Loads a VIP and prints one JSON object. For comparisons with bars and peers use `npm run bench`.
#   --mode throughput  as many requests as the connections allow (closed loop), keep-alive
#   --mode latency     a fixed rate (open loop), a new connection a request; times in microseconds
set -euo pipefail
cd "$(dirname "$0")/.."
mode=latency target=127.0.0.1:8080 rate=500 duration=10 connections=64
usage="usage: benchmark.sh [--mode throughput|latency] [--target ADDR:PORT] [--rate PER_S] [--duration S] [--connections N]"
while [ $# -gt 0 ]; do
	case "$1" in
	--mode) mode=${2:?$usage} ;;
	--target) target=${2:?$usage} ;;
	--rate) rate=${2:?$usage} ;;
	--duration) duration=${2:?$usage} ;;
	--connections) connections=${2:?$usage} ;;
	--help)
		echo "$usage"
		exit 0
		;;
	*)
		echo "$1: not understood; $usage" >&2
		exit 2
		;;
	esac
	shift 2
done
load=build/native/bin/marllb-load
if [ ! -x $load ]; then
	echo "$load is missing: npm run build" >&2
	exit 1
fi
case "$mode" in
throughput) exec $load run --connect "$target" --mode keepalive --conns "$connections" --seconds "$duration" --warmup 1 ;;
latency) exec $load run --connect "$target" --mode new --rate "$rate" --seconds "$duration" --warmup 1 ;;
*)
	echo "--mode $mode: expected throughput or latency" >&2
	exit 2
	;;
esac
