/* SPDX-License-Identifier: Apache-2.0 */
/* The fields of a frame, one row each: X(type, name, role, sum, of, unit, metric, help). A row makes the member of the struct and
 * the check that nothing lies between two members (layout.h), a worker's counter and the sum over the workers (worker_slot.h,
 * fields.h's mlb_rec_sum), the field table (layout_fields.h) with which the addon decodes, and by it `show`, VPP's statistics and
 * the metric's name and help. To add a counter: write its row here with sum COUNT and count it in worker_events.h.
 *
 * type    a word of MLB_TYPE_* below
 * role    ID: names a thing (64-bit ones reach TypeScript as bigint) · CLOCK: a point in time, ns (bigint) · STATE: a setting or
 *         condition · GAUGE · COUNTER · INTEGRAL: of a gauge over time · TIME: a point in time, us · SUMMARY · HISTOGRAM · PAD
 * sum     how main gets it: MAIN sets it itself · COUNT: each worker counts it, this row makes the worker's counter; summed ·
 *         SUM, MAX: of the expression `of` in a worker's slot `s` (or VIP `w`) · GAUGE: read consistently, summed · RUN:
 * likewise, and runs on at the rate of the gauge `of` until now · BUCKETS: an array, summed metric  exported as
 * marllb_server_METRIC or marllb_vip_METRIC; "" = not exported */
#ifndef MARLLB_FIELDS_H
#define MARLLB_FIELDS_H

#define MLB_TYPE_U8 uint8_t
#define MLB_TYPE_U16 uint16_t
#define MLB_TYPE_U32 uint32_t
#define MLB_TYPE_U64 uint64_t
#define MLB_TYPE_F32 float
#define MLB_TYPE_ADDR struct mlb_addr
#define MLB_TYPE_ENDPOINT struct mlb_endpoint
#define MLB_TYPE_NAME mlb_name
#define MLB_TYPE_SUMMARY struct mlb_res_sum
#define MLB_TYPE_HIST mlb_hist
#define MLB_TYPE_REFUSALS mlb_refusals

/* clang-format off */
/* One server of one VIP. Counts, bytes and integrals are cumulative since the server took its slot. */
#define MLB_SERVER_FIELDS(X) \
	X(U32, id, ID, MAIN, 0, "", "", "never 0; never reused within a data-plane epoch") \
	X(U16, slot, ID, MAIN, 0, "", "", "index of the server in its VIP's tables") \
	X(U16, flags, STATE, MAIN, 0, "", "", "MLB_SRV_*") \
	X(ADDR, addr, ID, MAIN, 0, "", "", "") \
	X(U16, port, ID, MAIN, 0, "", "", "") \
	X(U16, eject_streak, STATE, MAIN, 0, "", "", "failed connects in a row") \
	X(U32, flows, GAUGE, GAUGE, 0, "flows", "flows", "Flows in progress") \
	X(U32, half_open, GAUGE, GAUGE, 0, "flows", "half_open", "Connects under way") \
	X(U32, waiting, GAUGE, GAUGE, 0, "flows", "waiting", "Flows whose client spoke last") \
	X(F32, weight_static, GAUGE, MAIN, 0, "", "weight_configured", "Configured weight") \
	X(F32, weight, GAUGE, MAIN, 0, "", "share", "Share in effect, 0..1") \
	X(F32, factor, GAUGE, MAIN, 0, "", "factor", "Directive's factor in effect, 0..1") \
	X(F32, bias, STATE, MAIN, 0, "flows", "", "in effect") \
	X(F32, peer, STATE, MAIN, 0, "flows", "", "other load balancers' load as last told, added by the choice; 0 = untold") \
	X(U32, pad0, PAD, MAIN, 0, "", "", "") \
	X(U64, new_flows, COUNTER, SUM, MLB_LD(s->new_flows), "flows", "flows_total", "New flows") \
	X(U64, completions, COUNTER, SUM, MLB_LD(s->ended[MLB_END_COMPLETED]) + MLB_LD(s->ended[MLB_END_IDLE]), "flows", \
	  "completions_total", "Flows that ended well: closed after an answer, or aged out") \
	X(U64, refusals, COUNTER, SUM, MLB_LD(s->ended[MLB_END_REFUSED]), "flows", "refusals_total", "Connects refused") \
	X(U64, resets, COUNTER, SUM, MLB_LD(s->ended[MLB_END_RESET]) + MLB_LD(s->ended[MLB_END_CUT]), "flows", "resets_total", \
	  "Flows reset by the server") \
	X(U64, aborts, COUNTER, SUM, MLB_LD(s->ended[MLB_END_ABORT]), "flows", "aborts_total", "Flows that the client ended") \
	X(U64, unanswered, COUNTER, SUM, MLB_LD(s->ended[MLB_END_UNANSWERED]), "flows", "unanswered_total", "Connect time-outs") \
	X(U64, unmade, COUNTER, SUM, MLB_LD(s->ended[MLB_END_UNMADE]), "flows", "unmade_total", \
	  "Connects that the load balancer could not make: no port, no descriptor") \
	X(U64, closed, COUNTER, SUM, MLB_LD(s->ended[MLB_END_CLOSED]), "flows", "closed_total", \
	  "Flows closed by order, because their server was drained, down or removed") \
	X(U64, timed_out, COUNTER, SUM, MLB_LD(s->ended[MLB_END_TIMED_OUT]), "flows", "timed_out_total", \
	  "Connections that were reset because nothing moved on them for idle-timeout or half-closed-timeout") \
	X(U64, empty_ends, COUNTER, SUM, MLB_LD(s->ended[MLB_END_EMPTY]), "flows", "empty_ends_total", \
	  "Flows that the server ended without a byte") \
	X(U64, quick_ends, COUNTER, MAIN, 0, "flows", "quick_ends_total", \
	  "Completed flows quicker than a quarter of what peers take; see docs/loop.md, the guard") \
	X(U64, quick_answers, COUNTER, MAIN, 0, "answers", "quick_answers_total", \
	  "Answers begun in less than a quarter of the time that peers take") \
	X(U64, late_resets, COUNTER, SUM, MLB_LD(s->ended[MLB_END_CUT]), "flows", "late_resets_total", \
	  "Flows reset by the server after its first bytes; also in resets") \
	X(U64, answers, COUNTER, SUM, MLB_LD(s->answers), "answers", "answers_total", "Answers begun") \
	X(U64, ttfb_sum_us, COUNTER, COUNT, 0, "us", "", "of the answers begun: from a request's first byte to the answer's") \
	X(U64, packets_in, COUNTER, SUM, MLB_LD(s->packets_in), "packets", "packets_in_total", \
	  "Packets from clients; 0 where the data plane sees none") \
	X(U64, packets_out, COUNTER, SUM, MLB_LD(s->packets_out), "packets", "packets_out_total", "Packets to clients") \
	X(U64, bytes_in, COUNTER, SUM, MLB_LD(s->bytes_in), "bytes", "bytes_in_total", "Bytes from clients") \
	X(U64, bytes_out, COUNTER, SUM, MLB_LD(s->bytes_out), "bytes", "bytes_out_total", "Bytes to clients") \
	X(U64, flow_us, INTEGRAL, RUN, flows, "flow-us", "", "flows in progress over time") \
	X(U64, wait_us, INTEGRAL, RUN, waiting, "flow-us", "", "waiting flows over time") \
	X(U64, start_sum_us, GAUGE, GAUGE, 0, "us", "", "sum of the start times of the flows in progress") \
	X(U64, last_completion_us, TIME, MAX, MLB_LD(s->last_completion_us), "us", "", "0 = none yet") \
	X(U64, joined_us, TIME, MAIN, 0, "us", "", "") \
	X(U64, ejections, COUNTER, MAIN, 0, "", "ejections_total", "Times put out by the data plane itself") \
	X(U64, guards, COUNTER, MAIN, 0, "", "guards_total", "Times held at its fair share because its ends stood out") \
	X(U64, eject_until_us, TIME, MAIN, 0, "us", "", "0 = not ejected") \
	X(SUMMARY, duration, SUMMARY, MAIN, 0, "us", "", "of completed flows") \
	X(SUMMARY, ttfb, SUMMARY, MAIN, 0, "us", "", "from a request's first byte to the answer's") \
	X(SUMMARY, connect, SUMMARY, MAIN, 0, "us", "", "") \
	X(HIST, ttfb_hist, HISTOGRAM, BUCKETS, 0, "us", "", "cumulative modulo 2^32, see hist.h") \
	X(HIST, duration_hist, HISTOGRAM, BUCKETS, 0, "us", "", "cumulative modulo 2^32, see hist.h")

/* One VIP's frame. In msg_out the records of frame i are rec[first .. first+count) of that message. */
#define MLB_FRAME_FIELDS(X) \
	X(U32, schema, ID, MAIN, 0, "", "", "MLB_FRAME_SCHEMA") \
	X(U32, record_size, ID, MAIN, 0, "bytes", "", "sizeof(struct mlb_server_rec)") \
	X(U64, dp_epoch, ID, MAIN, 0, "", "", "") \
	X(U64, seq, STATE, MAIN, 0, "", "", "frame number of this VIP, from 1") \
	X(U64, mono_ns, CLOCK, MAIN, 0, "ns", "", "CLOCK_MONOTONIC when summed") \
	X(U64, real_ns, CLOCK, MAIN, 0, "ns", "", "CLOCK_REALTIME at the same moment") \
	X(U64, birth, ID, MAIN, 0, "", "", "of this VIP: never given twice in a data-plane epoch, as ids are") \
	X(U32, vip_id, STATE, MAIN, 0, "", "", "") \
	X(U32, generation, STATE, MAIN, 0, "", "", \
	  "of the server list; goes on rising where a removed VIP's id is given away again") \
	X(U32, first, STATE, MAIN, 0, "", "", "") \
	X(U32, count, STATE, MAIN, 0, "", "", "") \
	X(NAME, name, ID, MAIN, 0, "", "", "") \
	X(ENDPOINT, vip, ID, MAIN, 0, "", "", "") \
	X(U8, mode, STATE, MAIN, 0, "", "", "enum mlb_mode in effect") \
	X(U8, load, STATE, MAIN, 0, "", "", "enum mlb_load") \
	X(U8, owner, STATE, MAIN, 0, "", "", "enum mlb_owner") \
	X(U8, ladder, STATE, MAIN, 0, "", "", "enum mlb_ladder in effect") \
	X(U32, one_way, STATE, MAIN, 0, "", "", "1: the data plane sees the client's side only (DSR): no ttfb, no waiting") \
	X(U32, load_balancer, STATE, MAIN, 0, "", "", "this one's number among those that share the pool, from 1; 0 = not told") \
	X(U32, can_close, STATE, MAIN, 0, "", "", "1: the data plane closes a server's flows by order") \
	X(U32, pad0, PAD, MAIN, 0, "", "", "") \
	X(U64, applied_agent_epoch, ID, MAIN, 0, "", "", "of msg_in in effect; 0 = none yet") \
	X(U64, applied_seq, STATE, MAIN, 0, "", "", "of msg_in in effect; 0 = none yet") \
	X(U64, applied_frame_seq, STATE, MAIN, 0, "", "", "frame it answered") \
	X(U64, term, ID, MAIN, 0, "", "", "of the directive in effect") \
	X(F32, kappa, STATE, MAIN, 0, "flows", "", "in effect") \
	X(U32, load_balancers, STATE, MAIN, 0, "", "", "sharing the pool, as last told; 1 = alone") \
	X(U64, answers, COUNTER, COUNT, 0, "answers", "", "answers begun, those of servers that left among them") \
	X(U64, ttfb_sum_us, COUNTER, COUNT, 0, "us", "", "of these answers: times from a request's first byte to the answer's") \
	X(U64, duration_sum_us, COUNTER, COUNT, 0, "us", "", "of the completed flows, those of servers that left among them") \
	X(U64, no_server, COUNTER, COUNT, 0, "flows", "no_server_total", "New flows without an eligible server") \
	X(U64, failed, COUNTER, COUNT, 0, "flows", "failed_total", "New flows turned away after all tries to connect failed") \
	X(U64, untracked, COUNTER, COUNT, 0, "flows", "untracked_total", "New flows that found no room in the flow table") \
	X(U64, limited, COUNTER, COUNT, 0, "flows", "limited_total", "New flows over a connection limit") \
	X(U64, connections, GAUGE, SUM, MLB_LD(s->connections), "connections", "connections", \
	  "Clients' connections and UDP flows that were let in and have not ended; 0 where the data plane forwards packets") \
	X(U64, accept_errors, COUNTER, COUNT, 0, "connections", "accept_errors_total", \
	  "Accepts that failed: no descriptor (ten a second while clients wait for one), no memory, or the client had gone") \
	X(U64, datagrams_lost, COUNTER, MAIN, 0, "datagrams", "datagrams_lost_total", \
	  "Datagrams that the kernel dropped for want of room: clients' at once, a server's when the flow has ended") \
	X(U64, retries, COUNTER, COUNT, 0, "connects", "retries_total", "Connects tried again on another server") \
	X(U64, misses, COUNTER, COUNT, 0, "packets", "misses_total", "Packets of unknown flows, placed by the lookup table") \
	X(U64, recount_diff, GAUGE, MAIN, 0, "flows", "recount_difference", \
	  "Sum over servers of |counted - recounted| flows; stays 0") \
	X(U64, local_edits_refused, COUNTER, MAIN, 0, "", "local_edits_refused_total", \
	  "Local edits of a managed pool that were refused") \
	X(REFUSALS, refused, COUNTER, MAIN, 0, "", "", "weight vectors, by reason; [0] unused")
/* clang-format on */
#endif
