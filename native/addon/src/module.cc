/* SPDX-License-Identifier: Apache-2.0 */
/* What the addon exports. services/common/native/addon.ts has the types. */
#include "convert.h"

static Napi::Object init(Napi::Env env, Napi::Object exports)
{
	decode_init(env, exports);
	observe_init(env, exports);
	compose_init(env, exports);
	network_init(env, exports);
	policy_init(env, exports);
	region_init(env, exports);
	counts_init(env, exports);
	figures_init(env, exports);
	vocabulary_init(env, exports);
	sched_init(env, exports);
	ping_init(env, exports);
	flock_init(env, exports);
	clock_init(env, exports);
	notify_init(env, exports);
	connector_init(env, exports);
	return exports;
}

NODE_API_MODULE(marllb, init)
