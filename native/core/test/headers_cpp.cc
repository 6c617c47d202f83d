// SPDX-License-Identifier: Apache-2.0
// Compiled, never run: the headers that the addon needs are C++ too, so that it needs no twin of a type.
#include "marllb/agent.h"
#include "marllb/endpoint.h"
#include "marllb/envelope.h"
#include "marllb/fairness.h"
#include "marllb/hist.h"
#include "marllb/kalman.h"
#include "marllb/layout.h"
#include "marllb/layout_fields.h"
#include "marllb/observe.h"
#include "marllb/region.h"
#include "marllb/seqlock.h"
#include "marllb/vocab.h"
