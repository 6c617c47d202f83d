/* SPDX-License-Identifier: Apache-2.0 */
/* prompt(): mlb_sched_prompt for the calling thread; false where the system does not allow it. */
#include "marllb/sched.h"

#include "convert.h"

static Napi::Value prompt(const Napi::CallbackInfo &info)
{
	return Napi::Boolean::New(info.Env(), mlb_sched_prompt() == 0);
}

void sched_init(Napi::Env env, Napi::Object exports)
{
	exports.Set("prompt", Napi::Function::New(env, prompt));
}
