#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Loads a VIP of HTTP servers (GET /, any answer that states its length) and prints one JSON object. For comparisons with bars and peers use `npm run bench`.
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
run=("$load" run --connect "$target" --any --seconds "$duration" --warmup 1)
case "$mode" in
throughput) result=$("${run[@]}" --mode keepalive --conns "$connections") ;;
latency) result=$("${run[@]}" --mode new --rate "$rate") ;;
*)
	echo "--mode $mode: expected throughput or latency" >&2
	exit 2
	;;
esac
echo "$result"
case "$result" in
*'"requests":0,'*)
	echo "not one whole answer: is there an HTTP server behind $target that answers GET / with 200 and a Content-Length?" >&2
	exit 1
	;;
esac
