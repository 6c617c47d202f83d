/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MARLLB_ADDON_VECTOR_H
#define MARLLB_ADDON_VECTOR_H
#include <napi.h>

#include "marllb/agent.h"

/* What the envelope takes, from a JavaScript object; its arrays are borrowed. */
mlb_agent_vector vector_of(const Napi::Object &object);
#endif
