/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* SCHED_BATCH */
#include "mlbtest.h"

#include <sched.h>
#include <sys/resource.h>
#include "marllb/sched.h"

TEST(it_changes_neither_policy_nor_nice_value)
{
	int nice = getpriority(PRIO_PROCESS, 0);

	CHECK(mlb_sched_prompt() == 0);
	CHECK(sched_getscheduler(0) == SCHED_OTHER);
	CHECK(getpriority(PRIO_PROCESS, 0) == nice);
	CHECK(mlb_sched_prompt() == 0);
}

TEST(a_batch_thread_is_left_alone)
{
	struct sched_param p = { 0 };

	CHECK(sched_setscheduler(0, SCHED_BATCH, &p) == 0);
	CHECK(mlb_sched_prompt() == 0);
	CHECK(sched_getscheduler(0) == SCHED_BATCH);
}

MLB_TEST_MAIN(CASE(it_changes_neither_policy_nor_nice_value), CASE(a_batch_thread_is_left_alone))
