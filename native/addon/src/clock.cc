/* SPDX-License-Identifier: Apache-2.0 */
/* wallOffsetUs(): what CLOCK_REALTIME is ahead of CLOCK_MONOTONIC, whole microseconds. A thread that is preempted between two
 * readings would be off by that time, so the closest of several pairs counts. */
#include "convert.h"
#include "times.h"

#define TRIES 5
#define CLOSE_NS 1000

static Napi::Value wall_offset_us(const Napi::CallbackInfo &info)
{
	int64_t offset = 0, closest = INT64_MAX;
	for (int i = 0; i < TRIES && closest > CLOSE_NS; i++) {
		int64_t before = clock_ns(CLOCK_MONOTONIC), wall = clock_ns(CLOCK_REALTIME), after = clock_ns(CLOCK_MONOTONIC);
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
