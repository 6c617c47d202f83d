/* SPDX-License-Identifier: Apache-2.0 */
#include "mlbtest.h"

#include <errno.h>

#include <marllb/endpoint.h>
#include "nets.h"

/* A list, how it is written, addresses that are in it and not (separated by spaces). */
static const struct {
	const char *text, *written, *in, *out;
} good[] = {
	{ "none", "none", "", "0.0.0.0 ::" },
	{ "10.0.0.0/8", "10.0.0.0/8", "10.0.0.0 10.255.255.255", "11.0.0.0 9.255.255.255 ::a00:1 a00::" },
	{ "10.1.2.3", "10.1.2.3/32", "10.1.2.3", "10.1.2.2 10.1.2.4" },
	{ "192.168.4.0/22", "192.168.4.0/22", "192.168.4.0 192.168.7.255", "192.168.3.255 192.168.8.0" },
	{ "0.0.0.0/0", "0.0.0.0/0", "1.2.3.4", "::1 2001:db8::1" },
	{ "::/0", "::/0", "1.2.3.4 ::1", "" },
	{ "2001:db8::/33", "2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1" },
	{ "::1", "::1/128", "::1", "::2 127.0.0.1" },
	{ "10.0.0.0/8,::1/128,192.0.2.7", "10.0.0.0/8,::1/128,192.0.2.7/32", "10.1.1.1 ::1 192.0.2.7", "192.0.2.8 ::" },
};

static bool has(const struct mlbd_nets *nets, const char *text)
{
	struct mlb_addr a;

	CHECK_EQ(mlb_addr_parse(text, &a), 0);
	return mlbd_nets_have(nets, &a);
}

static void check_all(const struct mlbd_nets *nets, const char *list, bool want)
{
	char words[256], *save;

	snprintf(words, sizeof(words), "%s", list);
	for (char *w = strtok_r(words, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		if (has(nets, w) != want)
			printf("# %s: expected %s\n", w, want ? "in" : "out");
		CHECK(has(nets, w) == want);
	}
}

TEST(lists)
{
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct mlbd_nets nets, again;
		char text[MLBD_NETS_TEXT], err[256];

		CHECK_EQ(mlbd_nets_parse("accept-proxy", good[i].text, &nets, err), 0);
		CHECK_STR(mlbd_nets_text(&nets, text), good[i].written);
		check_all(&nets, good[i].in, true);
		check_all(&nets, good[i].out, false);
		CHECK_EQ(mlbd_nets_parse("accept-proxy", text, &again, err), 0);
		CHECK(memcmp(&nets, &again, sizeof(nets)) == 0);
	}
}

TEST(what_is_no_list)
{
	static const char *const bad[] = { "",
					   ",",
					   "10.0.0.0/33",
					   "::/129",
					   "10.0.0.0/",
					   "10.0.0.0/8,",
					   "10.0.0.0/-1",
					   "10/8",
					   "host",
					   "10.0.0.0/8 ",
					   "10.0.0.0:80",
					   "10.0.0.0/0008",
					   "10.1.2.3/8",
					   "192.168.5.0/22",
					   "2001:db8:8000::/32",
					   "::1/0" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct mlbd_nets nets;
		char err[256] = "";
		int rc = mlbd_nets_parse("accept-proxy", bad[i], &nets, err);

		if (rc != -EINVAL)
			printf("# '%s': rc %d\n", bad[i], rc);
		CHECK_EQ(rc, -EINVAL);
		CHECK(strstr(err, "accept-proxy") && strstr(err, "expected"));
	}
}

TEST(more_networks_than_there_is_room_for)
{
	char list[64 * (MLBD_MAX_NETS + 1)] = "10.0.0.1", err[256];
	struct mlbd_nets nets;

	for (uint32_t i = 1; i < MLBD_MAX_NETS; i++)
		strcat(list, ",10.0.0.1");
	CHECK_EQ(mlbd_nets_parse("accept-proxy", list, &nets, err), 0);
	strcat(list, ",10.0.0.1");
	CHECK_EQ(mlbd_nets_parse("accept-proxy", list, &nets, err), -EINVAL);
	CHECK(strstr(err, "at most 32"));
}

MLB_TEST_MAIN(CASE(lists), CASE(what_is_no_list), CASE(more_networks_than_there_is_room_for))
