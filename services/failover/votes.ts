// SPDX-License-Identifier: Apache-2.0
// What the replicas of health say, made one word a server. Every replica checks every server, from its own place in the network; a server
// is down when most of those say so who can be believed. No I/O, no clock.
//
// Who has a vote on a server:
// - a replica that answers now. Where none answers, the last votes of all stand: silence is no news;
// - that knows the server as up or down: one that has not checked it yet says nothing of it;
// - that is not cut off itself. One that reaches no server at all, while another reaches some of them, says something of its own
//   network only. "Up" is never the effect of being cut off.
// A server of which none of them knows more waits for its first check if one of them says so.
// The majority decides; at a tie the vote that changed last, by the replicas' own clocks, so that every replica of failover decides alike.
// A server that is up is down by such a vote only if that still stands after a while: a replica that is being cut off finds its servers
// dead one after the other, and until the last one is, nobody can tell. Masked by its word, the last one would get every flow.
import type { HealthFact } from "./orders.js";

export interface HeardVerdict {
  pool: string;
  /** Load balancer. Several may share a pool. */
  instance: string;
  address: string;
  state: HealthFact;
  /** "tcp: connection refused". */
  reason: string;
  sinceUnixMs: number;
}

interface Vote {
  /** Not checked yet: no vote on whether it is up. */
  waits: boolean;
  /** Load balancers for which the server is down: where their checks differ, the worst counts. */
  down: Set<string> | null;
  since: number;
  /** Of the word that counts. */
  reason: string;
  /** Said since the replica's last whole list. */
  fresh: boolean;
}

interface Subject {
  pool: string;
  address: string;
  votes: Map<Replica, Vote>;
  fact: HealthFact;
  /** A tie is to be looked at again. */
  later: boolean;
}

interface Replica {
  answers: boolean;
  up: number;
  down: number;
  subjects: Set<Subject>;
  cutOff: boolean;
}

export type ReplicaState = "heard" | "away" | "cut_off";

const isDown = (v: Vote): boolean => v.down !== null && v.down.size > 0;
const isUp = (v: Vote): boolean => !v.waits && !isDown(v);

export class Votes {
  readonly #replicas = new Map<string, Replica>();
  readonly #pools = new Map<string, Map<string, Subject>>();

  /**
   * `decided`: what holds of a server from now on. UNKNOWN: health knows the server, and nothing of it. `later`: calls back when a
   * replica that is cut off has found all its servers dead.
   */
  constructor(
    private readonly decided: (pool: string, address: string, fact: HealthFact) => void,
    private readonly later: (look: () => void) => void,
  ) {}

  /** A message of a replica; `whole`: with it the replica has said everything that it knows. */
  hear(name: string, verdicts: readonly HeardVerdict[], whole: boolean): void {
    const replica = this.#replica(name);
    const touched = new Set<Subject>();
    const unknown = verdicts.filter((v) => v.state === "UNKNOWN");
    for (const v of verdicts) if (v.state !== "UNKNOWN") touched.add(this.#take(replica, v));
    for (const v of unknown) this.#unwait(replica, v, touched);
    if (whole) for (const s of this.#sweep(replica)) touched.add(s);
    const before = replica.answers;
    replica.answers = true;
    if (before) this.#judge(touched);
    else this.#judgeAll();
    for (const v of unknown) if (this.fact(v.pool, v.address) === "UNKNOWN") this.decided(v.pool, v.address, "UNKNOWN");
  }

  /** The replica does not answer. */
  away(name: string): void {
    const replica = this.#replica(name);
    if (!replica.answers) return;
    replica.answers = false;
    // Its next whole list is what counts then, all of it.
    for (const s of replica.subjects) (s.votes.get(replica) as Vote).fresh = false;
    this.#judgeAll();
  }

  /** There is no such replica any more. */
  gone(name: string): void {
    const replica = this.#replicas.get(name);
    if (!replica) return;
    this.#replicas.delete(name);
    for (const s of replica.subjects) this.#drop(replica, s);
    this.#judgeAll();
  }

  fact(pool: string, address: string): HealthFact {
    return this.#pools.get(pool)?.get(address)?.fact ?? "UNKNOWN";
  }

  /** Why a server is down, as the replica says whose vote changed last; empty where it is not. */
  whyDown(pool: string, address: string): string {
    const s = this.#pools.get(pool)?.get(address);
    if (s?.fact !== "DOWN") return "";
    const votes = [...s.votes.values()].filter(isDown);
    return votes.reduce((a, b) => (b.since > a.since ? b : a), votes[0] ?? { reason: "", since: 0 }).reason;
  }

  replicas(): Map<string, ReplicaState> {
    return new Map([...this.#replicas].map(([name, r]) => [name, !r.answers ? "away" : r.cutOff ? "cut_off" : "heard"]));
  }

  #replica(name: string): Replica {
    let r = this.#replicas.get(name);
    if (!r) {
      r = { answers: false, up: 0, down: 0, subjects: new Set(), cutOff: false };
      this.#replicas.set(name, r);
    }
    return r;
  }

  #take(replica: Replica, v: HeardVerdict): Subject {
    const subject = this.#subject(v.pool, v.address);
    let vote = subject.votes.get(replica);
    if (!vote) {
      vote = { waits: true, down: null, since: v.sinceUnixMs, reason: "", fresh: true };
      subject.votes.set(replica, vote);
      replica.subjects.add(subject);
    }
    vote.fresh = true;
    // Of several load balancers' checks of one server, those that ended count.
    if (v.state === "WAITING") return subject;
    this.#count(replica, vote, -1);
    vote.waits = false;
    if (v.state === "DOWN") (vote.down ??= new Set()).add(v.instance);
    else vote.down?.delete(v.instance);
    this.#count(replica, vote, 1);
    // Of the word that counts: one load balancer's "up" beside another's "down" is no newer evidence.
    if (isDown(vote) === (v.state === "DOWN")) {
      vote.since = v.sinceUnixMs;
      vote.reason = v.reason;
    }
    return subject;
  }

  #count(replica: Replica, vote: Vote, by: 1 | -1): void {
    if (isUp(vote)) replica.up += by;
    else if (isDown(vote)) replica.down += by;
  }

  /** The replica does not wait for a first check any more, and knows nothing: its checks cannot be made. */
  #unwait(replica: Replica, v: HeardVerdict, touched: Set<Subject>): void {
    const subject = this.#pools.get(v.pool)?.get(v.address);
    if (!subject?.votes.get(replica)?.waits) return;
    this.#drop(replica, subject);
    subject.fact = "UNKNOWN";
    touched.add(subject);
  }

  #subject(pool: string, address: string): Subject {
    let servers = this.#pools.get(pool);
    if (!servers) {
      servers = new Map();
      this.#pools.set(pool, servers);
    }
    let subject = servers.get(address);
    if (!subject) {
      subject = { pool, address, votes: new Map(), fact: "UNKNOWN", later: false };
      servers.set(address, subject);
    }
    return subject;
  }

  /** Drops what the replica did not repeat in its whole list. */
  #sweep(replica: Replica): Subject[] {
    const dropped: Subject[] = [];
    for (const s of replica.subjects) {
      const vote = s.votes.get(replica) as Vote;
      if (vote.fresh) {
        vote.fresh = false;
        continue;
      }
      this.#drop(replica, s);
      dropped.push(s);
    }
    return dropped;
  }

  #drop(replica: Replica, s: Subject): void {
    this.#count(replica, s.votes.get(replica) as Vote, -1);
    s.votes.delete(replica);
    replica.subjects.delete(s);
    if (s.votes.size > 0) return;
    const servers = this.#pools.get(s.pool);
    if (servers?.get(s.address) === s) servers.delete(s.address);
    if (servers?.size === 0) this.#pools.delete(s.pool);
  }

  #judge(touched: Iterable<Subject>): void {
    // Who is cut off depends on what the others say, and decides over every server of its list.
    let changed = false;
    for (const r of this.#replicas.values()) {
      const cutOff = r.up === 0 && r.down > 0 && this.#othersReach(r);
      changed ||= cutOff !== r.cutOff;
      r.cutOff = cutOff;
    }
    if (changed) this.#decideAll();
    else for (const s of touched) this.#decide(s);
  }

  #judgeAll(): void {
    this.#judge([]);
    this.#decideAll();
  }

  #decideAll(): void {
    for (const servers of this.#pools.values()) for (const s of servers.values()) this.#decide(s);
  }

  /** Whether another replica reaches a server that this one does not. */
  #othersReach(r: Replica): boolean {
    for (const s of r.subjects) {
      if (!isDown(s.votes.get(r) as Vote)) continue;
      for (const [other, vote] of s.votes) if (other !== r && other.answers && isUp(vote)) return true;
    }
    return false;
  }

  #decide(s: Subject, stands = false): void {
    const answering = [...s.votes].filter(([r]) => r.answers);
    const believed = (answering.length > 0 ? answering : [...s.votes]).filter(([r]) => !r.cutOff);
    const { fact, tie } = verdict(believed.map(([, v]) => v));
    // What was up or down once is not unchecked again: a replica that was restarted begins anew, the server does not.
    if (fact === null || (fact === "WAITING" && s.fact !== "UNKNOWN")) return;
    if (fact === s.fact) return;
    if (tie && fact === "DOWN" && s.fact === "UP" && !stands) {
      if (s.later) return;
      s.later = true;
      this.later(() => {
        s.later = false;
        this.#decide(s, true);
      });
      return;
    }
    s.fact = fact;
    this.decided(s.pool, s.address, fact);
  }
}

/** `fact` null: nobody says anything. */
function verdict(believed: readonly Vote[]): { fact: HealthFact | null; tie: boolean } {
  const votes = believed.filter((v) => !v.waits);
  const [first] = votes;
  if (!first) return { fact: believed.length > 0 ? "WAITING" : null, tie: false };
  const down = votes.filter(isDown).length;
  const newest = votes.reduce((a, b) => (b.since > a.since ? b : a), first);
  const tie = down * 2 === votes.length;
  return { fact: (tie ? isDown(newest) : down * 2 > votes.length) ? "DOWN" : "UP", tie };
}
