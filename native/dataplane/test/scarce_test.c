/* SPDX-License-Identifier: Apache-2.0 */
/* Few descriptors, and a container that refuses a descriptor table of one's own. */
#include "dp_process.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

static rlim_t most_files;
static bool no_unshare;

static void prepare(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_unshare, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };
	struct rlimit files = { most_files, most_files };

	if (most_files && setrlimit(RLIMIT_NOFILE, &files))
		abort();
	if (no_unshare && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)))
		abort();
}

static bool logged(const struct dp *d, const char *what)
{
	char path[96], text[4096];

	snprintf(path, sizeof(path), "%s/log", d->folder);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = 0;
	close(fd);
	return strstr(text, what) != NULL;
}

/* That clients wait for descriptors is a figure, not only a line of the log. */
static bool waiting_is_counted(struct dp *d)
{
	for (int k = 0; k < 600; k++, usleep(50000))
		if (!strstr(dp_control(d, "show stats json"), "\"acceptErrors\":0,"))
			return true;
	return false;
}

/* 60 clients at once, more than there are descriptors for: each is served when others have gone, none is turned away. */
static void serve_all(rlim_t files, const char *threads)
{
	enum { CLIENTS = 60 };
	int client[CLIENTS], served = 0, how;
	struct dp d;
	uint16_t port;
	int listener = dp_listen(&port);

	most_files = files;
	dp_start(&d, port, threads, prepare);
	for (int i = 0; i < CLIENTS; i++) {
		char c = (char)i;

		client[i] = dp_dial(d.port);
		CHECK(client[i] >= 0 && dp_write(client[i], &c, 1));
	}
	for (int server; served < CLIENTS; served++) {
		char c, got[2];

		if (served == 0) /* all that it can take are here */
			usleep(200000);
		if (served == 0) /* main keeps a descriptor for whoever looks what is wrong */
			CHECK(strstr(dp_control(&d, "show weights"), "ok\n") != NULL);
		if (served == 0)
			CHECK(waiting_is_counted(&d));
		if ((server = dp_patient(accept(listener, NULL, NULL))) < 0)
			break;
		bool right = dp_read(server, &c, 1, &how) == 1 && c >= 0 && c < CLIENTS && dp_write(server, &c, 1);

		CHECK(right);
		close(server);
		CHECK(right && dp_read(client[(int)c], got, 2, &how) == 1 && got[0] == c && how == 0);
		if (right)
			close(client[(int)c]);
	}
	CHECK_EQ(served, CLIENTS);
	CHECK(logged(&d, "new connections wait until others end"));
	CHECK_EQ(logged(&d, "shares the process's descriptors"), no_unshare);
	CHECK_EQ(dp_count(&d, "completions", CLIENTS), CLIENTS);
	CHECK_EQ(dp_count(&d, "aborts", 0), 0);
	CHECK_EQ(dp_stop(&d), 0);
	close(listener);
}

/* Odd and even: the last descriptor is a client's in one of them. */
TEST(out_of_descriptors_clients_wait)
{
	no_unshare = false;
	serve_all(48, "1");
	serve_all(49, "1");
	serve_all(48, "2");
	serve_all(49, "2");
}

TEST(without_a_table_of_its_own_too)
{
	no_unshare = true;
	serve_all(48, "1");
	serve_all(49, "1");
}

MLB_TEST_MAIN(CASE(out_of_descriptors_clients_wait), CASE(without_a_table_of_its_own_too))
