/* SPDX-License-Identifier: Apache-2.0 */
/* wallOffsetUs(): what CLOCK_REALTIME is ahead of CLOCK_MONOTONIC, whole microseconds. A thread that is preempted between two
 * readings would be off by that time, so the closest of several pairs counts. */
#include "convert.h"

#include <cstdint>
#include <ctime>

#define TRIES 5
#define CLOSE_NS 1000

static int64_t read_ns(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return static_cast<int64_t>(t.tv_sec) * 1000000000 + t.tv_nsec;
}

static Napi::Value wall_offset_us(const Napi::CallbackInfo &info)
{
	int64_t offset = 0, closest = INT64_MAX;
	for (int i = 0; i < TRIES && closest > CLOSE_NS; i++) {
		int64_t before = read_ns(CLOCK_MONOTONIC), wall = read_ns(CLOCK_REALTIME), after = read_ns(CLOCK_MONOTONIC);
		if (after - before < closest) {
			closest = after - before;
			offset = wall - (before + after) / 2;
		}
	}
	return Napi::Number::New(info.Env(), static_cast<double>(offset / 1000));
}

void clock_init(Napi::Env env, Napi::Object exports)
{
	exports.Set("wallOffsetUs", Napi::Function::New(env, wall_offset_us));
}
