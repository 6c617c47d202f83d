/* SPDX-License-Identifier: Apache-2.0 */
/* The core's words and values (vocab.h) for TypeScript, which declares none of them again. */
#include "convert.h"
#include "marllb/vocab.h"

/* { mode: [{ name: "SED", value: 3, word: "sed" }, ...], ladder: [...], ... } */
static Napi::Value vocabulary(const Napi::CallbackInfo &info)
{
	Napi::Object all = Napi::Object::New(info.Env());
	for (const mlb_vocabulary *v = mlb_vocabularies; v->name; v++) {
		Napi::Array rows = Napi::Array::New(info.Env());
		for (const mlb_word *w = v->words; w->word; w++) {
			Napi::Object row = Napi::Object::New(info.Env());
			row.Set("name", w->name);
			row.Set("value", w->value);
			row.Set("word", w->word);
			rows.Set(static_cast<uint32_t>(w - v->words), row);
		}
		all.Set(v->name, rows);
	}
	return all;
}

void vocabulary_init(Napi::Env env, Napi::Object exports)
{
	exports.Set("vocabulary", Napi::Function::New(env, vocabulary));
}
