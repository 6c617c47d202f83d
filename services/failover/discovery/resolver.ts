// SPDX-License-Identifier: Apache-2.0
// Questions to name servers. node:dns tells no time to live of SRV records, so the packets are made here: UDP, and TCP where the answer
// does not fit (RFC 1035, 7766).
import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { Resolver } from "node:dns";
import { connect, isIPv6 } from "node:net";
import { type Answer, type DecodedPacket, decode, encode, type SrvData } from "dns-packet";
import { formatHostPort, type HostPort, parseHostPort } from "../../common/config/address.js";

export interface AddressRecord {
  address: string;
}
export type ServiceRecord = Required<Pick<SrvData, "target" | "port" | "priority" | "weight">>;

interface Data {
  A: AddressRecord;
  AAAA: AddressRecord;
  SRV: ServiceRecord;
}
export type Type = keyof Data;

export interface Records<T> {
  /** None: the name is not there, or has none of this type. */
  list: T[];
  /** Seconds; of an answer without records there is none to tell. */
  ttl: number;
}

/** Rejects where no server answers the question. */
export type Ask = <T extends Type>(name: string, type: T) => Promise<Records<Data[T]>>;

const PORT = 53;
const TRY_MS = 2000;
const ROUNDS = 2;
/** The largest answer that crosses every network in one piece (DNS flag day 2020). */
const UDP_SIZE = 1232;

const OPT = {
  type: "OPT",
  name: ".",
  udpPayloadSize: UDP_SIZE,
  extendedRcode: 0,
  ednsVersion: 0,
  flags: 0,
  flag_do: false,
  options: [] as never[],
} as const;

/** "10.0.0.53", "10.0.0.53:5353", "::1", "[::1]:53". */
export function nameServer(text: string): HostPort {
  return parseHostPort(text) ?? { host: text.replace(/^\[|\]$/g, ""), port: PORT };
}

/** `server` empty: those of /etc/resolv.conf, read again at each question. */
export function resolver(server: string, tryMs = TRY_MS): Ask {
  const servers = (): string[] => (server === "" ? new Resolver().getServers() : [server]);
  return async (name, type) => {
    let failed: Error = new Error("/etc/resolv.conf names no server");
    for (let round = 0; round < ROUNDS; round++) {
      for (const to of servers().map(nameServer)) {
        try {
          return recordsIn(await exchange(to, name, type, tryMs), name, type);
        } catch (e) {
          failed = new Error(`${name} ${type}: name server ${formatHostPort(to.host, to.port)}: ${(e as Error).message}`);
        }
      }
    }
    throw failed;
  };
}

async function exchange(to: HostPort, name: string, type: Type, ms: number): Promise<DecodedPacket> {
  const id = randomInt(65_536);
  const query = encode({
    type: "query",
    id,
    flags: 0x100, // recursion desired
    questions: [{ name, type }],
    additionals: [OPT],
  });
  const read = (bytes: Buffer): DecodedPacket | null => answerOf(bytes, id, name, type);
  const answer = await overUdp(to, query, read, ms);
  return answer.flag_tc ? overTcp(to, query, read, ms) : answer;
}

/** What names mean does not depend on case, nor on the last dot. */
const plain = (name: string): string => name.toLowerCase().replace(/\.$/, "");

/** null: garbage, or an answer to somebody else's question. */
function answerOf(bytes: Buffer, id: number, name: string, type: Type): DecodedPacket | null {
  let p: DecodedPacket;
  try {
    p = decode(bytes);
  } catch {
    return null;
  }
  const q = p.questions?.[0];
  return p.id === id && p.flag_qr && q?.type === type && plain(q.name) === plain(name) ? p : null;
}

/** The records of the name, or of what it is an alias of. */
export function recordsIn<T extends Type>(p: DecodedPacket, name: string, type: T): Records<Data[T]> {
  const rcode = (p as unknown as { rcode: string }).rcode;
  if (rcode !== "NOERROR" && rcode !== "NXDOMAIN") throw new Error(`answered ${rcode}`);
  const answers = p.answers ?? [];
  let owner = plain(name);
  const ttls: number[] = [];
  // As often as there are answers at most: an alias of itself ends nothing.
  for (let i = 0; i < answers.length; i++) {
    const alias = answers.find((a) => a.type === "CNAME" && plain(a.name) === owner);
    if (alias?.type !== "CNAME") break;
    ttls.push(alias.ttl ?? 0);
    owner = plain(alias.data);
  }
  const list = answers.filter((a) => a.type === type && plain(a.name) === owner);
  for (const a of list) ttls.push((a as { ttl?: number }).ttl ?? 0);
  return { list: list.map(dataOf) as Data[T][], ttl: list.length > 0 ? Math.min(...ttls) : 0 };
}

function dataOf(a: Answer): AddressRecord | ServiceRecord {
  if (a.type === "A" || a.type === "AAAA") return { address: a.data };
  const { target, port, priority = 0, weight = 0 } = (a as { data: SrvData }).data;
  return { target, port, priority, weight };
}

function overUdp(to: HostPort, query: Buffer, read: (b: Buffer) => DecodedPacket | null, ms: number): Promise<DecodedPacket> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(isIPv6(to.host) ? "udp6" : "udp4");
    const end = (fn: () => void): void => {
      clearTimeout(timer);
      socket.close();
      fn();
    };
    const timer = setTimeout(() => end(() => reject(new Error(`no answer within ${ms} ms`))), ms);
    socket.once("error", (e) => end(() => reject(e)));
    socket.on("message", (bytes) => {
      const answer = read(bytes);
      if (answer) end(() => resolve(answer));
    });
    // Connected: only this server's datagrams come in, and its refusals are heard.
    socket.connect(to.port, to.host, () => socket.send(query));
  });
}

function overTcp(to: HostPort, query: Buffer, read: (b: Buffer) => DecodedPacket | null, ms: number): Promise<DecodedPacket> {
  return new Promise((resolve, reject) => {
    const socket = connect(to.port, to.host);
    let got = Buffer.alloc(0);
    const end = (fn: () => void): void => {
      clearTimeout(timer);
      socket.destroy();
      fn();
    };
    const timer = setTimeout(() => end(() => reject(new Error(`no answer over TCP within ${ms} ms`))), ms);
    socket.once("error", (e) => end(() => reject(e)));
    socket.once("end", () => end(() => reject(new Error("ended the connection without an answer"))));
    socket.on("data", (bytes: Buffer) => {
      got = Buffer.concat([got, bytes]);
      if (got.length < 2 || got.length < 2 + got.readUInt16BE(0)) return;
      const answer = read(got.subarray(2, 2 + got.readUInt16BE(0)));
      end(() => (answer ? resolve(answer) : reject(new Error("answered something else over TCP"))));
    });
    const length = Buffer.alloc(2);
    length.writeUInt16BE(query.length);
    socket.write(Buffer.concat([length, query]));
  });
}
