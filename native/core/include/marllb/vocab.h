/* SPDX-License-Identifier: Apache-2.0 */
/* The vocabulary: every value and word that more than one program or language must agree on, declared here once. A row is
 * X(NAME, value, "word"). It makes the C enumerator, the word that commands, `show`, metrics and configuration use, and by the
 * addon's `vocabulary` the value and word in TypeScript. A word has `-` between its parts. */
#ifndef MARLLB_VOCAB_H
#define MARLLB_VOCAB_H
#include <stdint.h>

/* How the data plane uses the weights. KEEP: as it is (a weight vector's "leave the mode alone"). */
#define MLB_MODES(X) X(KEEP, 0, "keep") X(HASH, 1, "hash") X(ALIAS, 2, "alias") X(SED, 3, "sed") X(P2C, 4, "p2c")

/* What a VIP's load counts: flows in progress, or flows whose client waits for an answer. */
#define MLB_LOADS(X) X(FLOWS, 0, "flows") X(WAITING, 1, "waiting")

/* Who owns a VIP's server list: the data plane's operator, or failover. */
#define MLB_OWNERS(X) X(LOCAL, 0, "local") X(MANAGED, 1, "managed")

/* State a directive puts a VIP in. */
#define MLB_VIP_STATES(X) X(NORMAL, 0, "normal") X(DEGRADED, 1, "degraded") X(PANIC, 2, "panic")

/* The ladder: where the weights in effect came from. Lower is better. STATIC: chosen by the agent. STATIC_DP: the agent's lease
 * ran out, so the data plane took its own. */
#define MLB_LADDER_STEPS(X) \
	X(MODEL, 0, "model") \
	X(KALMAN, 1, "kalman") X(LAST_GOOD, 2, "last-good") X(STATIC, 3, "static") X(STATIC_DP, 4, "static-dp")

/* Flags of a server: MEMBER the slot holds a server; DRAINING it keeps its flows and takes no new ones; EJECTED the data plane
 * itself put it out for a while; PROBING ejected, one probe flow is on its way; LEAVING removed from the list, its slot waits for
 * its last flow; GUARDED held at its fair share (guard.h). */
#define MLB_SERVER_FLAGS(X) \
	X(MEMBER, 1u << 0, "member") \
	X(DRAINING, 1u << 1, "draining") \
	X(EJECTED, 1u << 2, "ejected") \
	X(PROBING, 1u << 3, "probing") X(LEAVING, 1u << 4, "leaving") X(GUARDED, 1u << 5, "guarded")

/* What a weight vector says of a server beside its weight. CLOSE: its flows are to end now, those that are there when the flag
 * comes up. LAST_RESORT: its factor 0 is what was found of it, and no operator's order: a flow whose connect failed at all others
 * may try it. */
#define MLB_IN_FLAGS(X) X(CLOSE, 1u << 0, "close") X(LAST_RESORT, 1u << 1, "last-resort")

/* How a flow ended. COMPLETED: FIN both ways, after a byte of the server; REFUSED: the server refused the connect; RESET: the
 * server reset an established flow before its first byte; ABORT: the client went away first; UNANSWERED: the connect timed out;
 * IDLE: aged out; CUT: the server reset it after its first byte; EMPTY: the server ended it without a byte; UNMADE: the load
 * balancer itself could not connect (no port, no descriptor); CLOSED: by order, because of its server; TIMED_OUT: the load
 * balancer closed the connection, on which nothing moved. A host that sees both
 * directions gets COMPLETED, EMPTY, RESET and CUT right by mlb_end_of. */
#define MLB_ENDS(X) \
	X(COMPLETED, 0, "completed") \
	X(REFUSED, 1, "refused") \
	X(RESET, 2, "reset") \
	X(ABORT, 3, "abort") \
	X(UNANSWERED, 4, "unanswered") \
	X(IDLE, 5, "idle") \
	X(CUT, 6, "cut") X(EMPTY, 7, "empty") X(UNMADE, 8, "unmade") X(CLOSED, 9, "closed") X(TIMED_OUT, 10, "timed-out")

/* Why the data plane refused a weight vector. */
#define MLB_REFUSALS(X) \
	X(NONE, 0, "none") \
	X(NOT_FINITE, 1, "not-finite") \
	X(NEGATIVE, 2, "negative") \
	X(ALL_ZERO, 3, "all-zero") \
	X(OUT_OF_RANGE, 4, "out-of-range") \
	X(LENGTH, 5, "length") \
	X(EPOCH, 6, "epoch") \
	X(VIP, 7, "vip") \
	X(GENERATION, 8, "generation") X(STALE, 9, "stale") X(TORN, 10, "torn") X(SERVER, 11, "server") X(MODE, 12, "mode")

/* How far a policy's shares may stray from the static ones: within e^-c .. e^c of them; X(NAME, c, "word"). */
#define MLB_TRUSTS(X) X(EXACT, 0.1, "exact") X(HINT, 1.5, "hint") X(NONE, 3.0, "none")

/* Defaults of a data plane's settings, in ms where they are times; the word is the line of marllb-dp, and with `_` the key of
 * marllb.yaml. A connect may lose its first SYN (the kernel sends it again after 1 s). A drain fits the 30 s that Kubernetes
 * grants. */
#define MLB_DEFAULTS(X) \
	X(LEASE, 1000, "lease") \
	X(CONNECT_TIMEOUT, 2000, "connect-timeout") \
	X(RETRIES, 3, "retries") \
	X(IDLE_TIMEOUT, 600000, "idle-timeout") \
	X(FIRST_BYTE_TIMEOUT, 60000, "first-byte-timeout") \
	X(PROXY_HEADER_TIMEOUT, 5000, "proxy-header-timeout") \
	X(HALF_CLOSED_TIMEOUT, 60000, "half-closed-timeout") \
	X(UDP_TIMEOUT, 60000, "udp-timeout") \
	X(KEEPALIVE, 60000, "keepalive") \
	X(KEEPALIVE_INTERVAL, 15000, "keepalive-interval") \
	X(KEEPALIVE_PROBES, 4, "keepalive-probes") \
	X(USER_TIMEOUT, 120000, "user-timeout") \
	X(DRAIN_TIMEOUT, 30000, "drain-timeout") \
	X(PIPE_MEMORY, 128, "pipe-memory") \
	X(BACKLOG, 4096, "backlog") \
	X(UDP_COALESCE, 100, "udp-coalesce") \
	X(UDP_RECEIVE_BUFFER, 4096, "udp-receive-buffer") X(MAX_VIPS, 64, "max-vips") X(MAX_SERVERS, 4096, "max-servers")

#define X(name, value, word) MLB_DEFAULT_##name = (value),
enum mlb_default { MLB_DEFAULTS(X) };
#undef X
#define X(name, value, word) MLB_MODE_##name = (value),
enum mlb_mode { MLB_MODES(X) };
#undef X
#define X(name, value, word) MLB_LOAD_##name = (value),
enum mlb_load { MLB_LOADS(X) };
#undef X
#define X(name, value, word) MLB_OWNER_##name = (value),
enum mlb_owner { MLB_OWNERS(X) };
#undef X
#define X(name, value, word) MLB_VIP_##name = (value),
enum mlb_vip_state { MLB_VIP_STATES(X) };
#undef X
#define X(name, value, word) MLB_LADDER_##name = (value),
enum mlb_ladder { MLB_LADDER_STEPS(X) };
#undef X
#define X(name, value, word) MLB_SRV_##name = (value),
enum mlb_server_flag { MLB_SERVER_FLAGS(X) };
#undef X
#define X(name, value, word) MLB_IN_##name = (value),
enum mlb_in_flag { MLB_IN_FLAGS(X) };
#undef X
#define X(name, value, word) MLB_END_##name = (value),
enum mlb_end { MLB_ENDS(X) };
#undef X
#define X(name, value, word) MLB_REFUSE_##name = (value),
enum mlb_refuse { MLB_REFUSALS(X) };
#undef X

#define X(name, value, word) +1
enum { MLB_END_COUNT = 0 MLB_ENDS(X), MLB_REFUSE_COUNT = 0 MLB_REFUSALS(X) };
#undef X

#ifdef __cplusplus
extern "C" {
#endif

/* The word of a value, "unknown" if it is none. */
const char *mlb_mode_name(uint32_t);
const char *mlb_load_name(uint32_t);
const char *mlb_owner_name(uint32_t);
const char *mlb_vip_state_name(uint32_t);
const char *mlb_ladder_name(uint32_t);
const char *mlb_end_name(uint32_t);
const char *mlb_refuse_name(uint32_t);
/* The value of a word, -EINVAL if it is none. */
int mlb_mode_parse(const char *word);
int mlb_load_parse(const char *word);
int mlb_owner_parse(const char *word);

/* The same as data, for those who list all words: the addon, help texts. Ends with a row whose word is NULL. */
struct mlb_word {
	const char *name; /* "LAST_GOOD" */
	const char *word; /* "last-good" */
	double value;
};
struct mlb_vocabulary {
	const char *name; /* "ladder" */
	const struct mlb_word *words;
};
extern const struct mlb_word mlb_mode_words[], mlb_load_words[], mlb_owner_words[], mlb_vip_state_words[], mlb_ladder_words[],
	mlb_server_flag_words[], mlb_in_flag_words[], mlb_end_words[], mlb_refuse_words[], mlb_trust_words[], mlb_default_words[];
extern const struct mlb_vocabulary mlb_vocabularies[]; /* ends with a NULL name */

/* The row of a word, NULL if it is none. */
const struct mlb_word *mlb_word_find(const struct mlb_word *words, const char *word);
/* Writes the words from `first` on, as "hash, alias, sed or p2c". Returns text. */
char *mlb_words_list(const struct mlb_word *first, char *text, uint32_t size);

#ifdef __cplusplus
}
#endif
#endif
