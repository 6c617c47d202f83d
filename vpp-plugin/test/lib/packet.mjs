// SPDX-License-Identifier: Apache-2.0
// Packets as data: build(description) gives bytes, parse(bytes) gives a description, both with real checksums.
import { isIPv6 } from "node:net";

export const PROTO = { icmp: 1, ipip: 4, tcp: 6, udp: 17, ipv6: 41, gre: 47, icmp6: 58 };
const FLAGS = { F: 1, S: 2, R: 4, P: 8, A: 16 };

export function ipBytes(text) {
  if (!isIPv6(text)) return Buffer.from(text.split(".").map(Number));
  const [head, tail] = text.split("::");
  const words = (s) => (s ? s.split(":").map((w) => Number.parseInt(w, 16)) : []);
  const a = words(head);
  const b = tail === undefined ? [] : words(tail);
  const all = tail === undefined ? a : [...a, ...Array(8 - a.length - b.length).fill(0), ...b];
  const out = Buffer.alloc(16);
  for (const [i, w] of all.entries()) out.writeUInt16BE(w, 2 * i);
  return out;
}

export function ipText(b) {
  if (b.length === 4) return [...b].join(".");
  const url = new URL(`http://[${Array.from({ length: 8 }, (_, i) => b.readUInt16BE(2 * i).toString(16)).join(":")}]/`);
  return url.hostname.slice(1, -1);
}

function sum(...parts) {
  let s = 0;
  for (const p of parts) {
    for (let i = 0; i + 1 < p.length; i += 2) s += p.readUInt16BE(i);
    if (p.length % 2) s += p[p.length - 1] << 8;
  }
  while (s > 0xffff) s = (s & 0xffff) + (s >>> 16);
  return s;
}

const pseudo = (src, dst, proto, len) => {
  const tail = Buffer.alloc(src.length === 4 ? 4 : 8);
  if (src.length === 4) {
    tail[1] = proto;
    tail.writeUInt16BE(len, 2);
  } else {
    tail.writeUInt32BE(len, 0);
    tail[7] = proto;
  }
  return Buffer.concat([src, dst, tail]);
};

const macBytes = (m) => Buffer.from(m.split(":").map((x) => Number.parseInt(x, 16)));

/** An L4 segment of a description, checksum filled in unless d.badSum or d.noSum. */
function l4(d, src, dst) {
  const payload = Buffer.isBuffer(d.payload) ? d.payload : Buffer.from(d.payload ?? "");
  let h;
  let at;
  let proto;
  if (d.tcp !== undefined) {
    const options = d.tcpOptions ?? Buffer.alloc(0);
    h = Buffer.alloc(20 + options.length);
    h.writeUInt16BE(d.sport, 0);
    h.writeUInt16BE(d.dport, 2);
    h.writeUInt32BE(d.seq ?? 1000, 4);
    h.writeUInt32BE(d.ack ?? 0, 8);
    h[12] = (d.dataOffset ?? h.length / 4) << 4;
    h[13] = [...d.tcp].reduce((f, c) => f | FLAGS[c], 0);
    h.writeUInt16BE(8192, 14);
    options.copy(h, 20);
    [at, proto] = [16, PROTO.tcp];
  } else if (d.udp !== undefined) {
    h = Buffer.alloc(8);
    h.writeUInt16BE(d.sport, 0);
    h.writeUInt16BE(d.dport, 2);
    h.writeUInt16BE(d.udpLength ?? 8 + payload.length, 4);
    [at, proto] = [6, PROTO.udp];
  } else {
    h = Buffer.from([d.icmp[0], d.icmp[1], 0, 0, 0, 0, 0, 0]);
    if (d.icmp[2] !== undefined) h.writeUInt32BE(d.icmp[2], 4);
    [at, proto] = [2, src.length === 4 ? PROTO.icmp : PROTO.icmp6];
  }
  const whole = Buffer.concat([h, payload]);
  if (!d.noSum) {
    const ph = proto === PROTO.icmp ? Buffer.alloc(0) : pseudo(src, dst, proto, whole.length);
    const c = 0xffff & ~sum(ph, whole);
    whole.writeUInt16BE(proto === PROTO.udp && c === 0 ? 0xffff : c, at);
  }
  return { proto, whole };
}

/**
 * IP packet of a description: { src, dst, tcp: "SA" | udp: true | icmp: [type, code, rest], sport, dport, payload, ttl, tos,
 * options (IPv4), ext: [[type, bytes]] (IPv6), frag: [offset, more, id] (of the L4 bytes), cut, version, ihl, totalLength, raw }.
 */
export function buildIp(d) {
  const src = ipBytes(d.src);
  const dst = ipBytes(d.dst);
  let { proto, whole } = d.raw ? { proto: d.proto, whole: d.raw } : l4(d, src, dst);
  if (d.fragBytes) whole = whole.subarray(...d.fragBytes);
  let packet;
  if (src.length === 4) {
    const options = d.options ?? Buffer.alloc(0);
    const h = Buffer.alloc(20 + options.length);
    h[0] = ((d.version ?? 4) << 4) | (d.ihl ?? h.length / 4);
    h[1] = d.tos ?? 0;
    h.writeUInt16BE(d.totalLength ?? h.length + whole.length, 2);
    const [off, more, id] = d.frag ?? [0, false, d.id ?? 0];
    h.writeUInt16BE(id, 4);
    h.writeUInt16BE((more ? 0x2000 : 0) | (off >> 3) | (d.df ? 0x4000 : 0), 6);
    h[8] = d.ttl ?? 64;
    h[9] = d.proto ?? proto;
    src.copy(h, 12);
    dst.copy(h, 16);
    options.copy(h, 20);
    h.writeUInt16BE(0xffff & ~sum(h), 10);
    packet = Buffer.concat([h, whole]);
  } else {
    const chain = [...(d.ext ?? [])];
    if (d.frag) {
      const f = Buffer.alloc(8);
      f.writeUInt16BE(d.frag[0] | (d.frag[1] ? 1 : 0), 2);
      f.writeUInt32BE(d.frag[2], 4);
      chain.push([44, f]);
    }
    let next = d.proto ?? proto;
    for (const [type, bytes] of chain.reverse()) {
      const b = Buffer.from(bytes);
      b[0] = next;
      whole = Buffer.concat([b, whole]);
      next = type;
    }
    const h = Buffer.alloc(40);
    h.writeUInt32BE((((d.version ?? 6) << 28) | ((d.tos ?? 0) << 20)) >>> 0, 0);
    h.writeUInt16BE(d.totalLength ?? whole.length, 4);
    h[6] = next;
    h[7] = d.ttl ?? 64;
    src.copy(h, 8);
    dst.copy(h, 24);
    packet = Buffer.concat([h, whole]);
  }
  return d.cut === undefined ? packet : packet.subarray(0, d.cut);
}

export function build(d, { smac = "02:00:00:00:00:01", dmac }) {
  const ip = buildIp(d);
  const type = Buffer.from(isIPv6(d.src) ? [0x86, 0xdd] : [0x08, 0x00]);
  return Buffer.concat([macBytes(dmac), macBytes(smac), type, ip]);
}

const flagText = (f) =>
  Object.entries(FLAGS)
    .filter(([, v]) => f & v)
    .map(([k]) => k)
    .join("");

/** Description of an IP packet; sums: "ok", or which checksum is wrong, or the length: there is less than it says. */
export function parseIp(b) {
  const v = b[0] >> 4;
  const d = { sums: "ok" };
  let at;
  let proto;
  let src;
  let dst;
  if (v === 4) {
    const hl = 4 * (b[0] & 15);
    if (b.length < b.readUInt16BE(2)) d.sums = "length";
    b = b.subarray(0, b.readUInt16BE(2));
    if (sum(b.subarray(0, hl)) !== 0xffff) d.sums = "ip";
    [src, dst, proto, at] = [b.subarray(12, 16), b.subarray(16, 20), b[9], hl];
    Object.assign(d, { ttl: b[8], tos: b[1], id: b.readUInt16BE(4), df: !!(b[6] & 0x40) });
    const frag = b.readUInt16BE(6);
    if (frag & 0x3fff) d.frag = [(frag & 0x1fff) * 8, !!(frag & 0x2000)];
    if (hl > 20) d.options = b.subarray(20, hl);
  } else {
    if (b.length < 40 + b.readUInt16BE(4)) d.sums = "length";
    b = b.subarray(0, 40 + b.readUInt16BE(4));
    [src, dst, proto, at] = [b.subarray(8, 24), b.subarray(24, 40), b[6], 40];
    Object.assign(d, { ttl: b[7], tos: (b.readUInt32BE(0) >>> 20) & 255, label: b.readUInt32BE(0) & 0xfffff });
    while ([0, 43, 60, 44].includes(proto)) {
      if (proto === 44) d.frag = [b.readUInt16BE(at + 2) & 0xfff8, !!(b[at + 3] & 1)];
      const len = proto === 44 ? 8 : 8 * (b[at + 1] + 1);
      [proto, at] = [b[at], at + len];
    }
  }
  Object.assign(d, { src: ipText(src), dst: ipText(dst) });
  const rest = b.subarray(at);
  d.length = rest.length;
  const check = (field) => {
    if (d.frag) return;
    const ph = proto === PROTO.icmp ? Buffer.alloc(0) : pseudo(src, dst, proto, rest.length);
    if (sum(ph, rest) !== 0xffff && !(proto === PROTO.udp && rest.readUInt16BE(6) === 0)) d.sums = field;
  };
  if (d.frag?.[0]) return { ...d, proto, bytes: rest };
  if (proto === PROTO.tcp) {
    check("tcp");
    const off = 4 * (rest[12] >> 4);
    Object.assign(d, {
      tcp: flagText(rest[13]),
      sport: rest.readUInt16BE(0),
      dport: rest.readUInt16BE(2),
      seq: rest.readUInt32BE(4),
      ack: rest.readUInt32BE(8),
      tcpOptions: rest.subarray(20, off),
      payload: rest.subarray(off).toString("latin1"),
    });
  } else if (proto === PROTO.udp) {
    check("udp");
    Object.assign(d, {
      udp: true,
      sport: rest.readUInt16BE(0),
      dport: rest.readUInt16BE(2),
      udpSum: rest.readUInt16BE(6),
      payload: rest.subarray(8).toString("latin1"),
    });
  } else if (proto === PROTO.icmp || proto === PROTO.icmp6) {
    check("icmp");
    Object.assign(d, {
      icmp: [rest[0], rest[1]],
      icmpSum: rest.readUInt16BE(2),
      icmpRest: rest.readUInt32BE(4),
      body: rest.subarray(8),
    });
    const error = proto === PROTO.icmp ? [3, 11, 12].includes(rest[0]) : rest[0] < 128;
    if (error && rest.length >= 8 + 28) d.quoted = parseQuoted(rest.subarray(8));
  } else if (proto === PROTO.ipip || proto === PROTO.ipv6) d.inner = parseIp(rest);
  else if (proto === PROTO.gre) Object.assign(d, { gre: rest.readUInt16BE(2), inner: parseIp(rest.subarray(4)) });
  else Object.assign(d, { proto, bytes: rest });
  return d;
}

/** What an ICMP error quotes: possibly cut short, so no checksums but the IPv4 header's. */
function parseQuoted(b) {
  const v4 = b[0] >> 4 === 4;
  const at = v4 ? 4 * (b[0] & 15) : 40;
  const src = v4 ? b.subarray(12, 16) : b.subarray(8, 24);
  const dst = v4 ? b.subarray(16, 20) : b.subarray(24, 40);
  const ok = !v4 || sum(b.subarray(0, at)) === 0xffff;
  return { src: ipText(src), dst: ipText(dst), sport: b.readUInt16BE(at), dport: b.readUInt16BE(at + 2), sums: ok ? "ok" : "ip" };
}

export function parse(frame) {
  const mac = (b) => [...b].map((x) => x.toString(16).padStart(2, "0")).join(":");
  const d = { dmac: mac(frame.subarray(0, 6)), smac: mac(frame.subarray(6, 12)), type: frame.readUInt16BE(12) };
  return d.type === 0x0800 || d.type === 0x86dd ? { ...d, ...parseIp(frame.subarray(14)) } : d;
}

/** Ethernet frames as a pcap file's bytes, and back. */
export function toPcap(frames) {
  const head = Buffer.alloc(24);
  head.writeUInt32LE(0xa1b2c3d4, 0);
  head.writeUInt16LE(2, 4);
  head.writeUInt16LE(4, 6);
  head.writeUInt32LE(65535, 16);
  head.writeUInt32LE(1, 20);
  const parts = [head];
  for (const f of frames) {
    const h = Buffer.alloc(16);
    h.writeUInt32LE(f.length, 8);
    h.writeUInt32LE(f.length, 12);
    parts.push(h, f);
  }
  return Buffer.concat(parts);
}

export function fromPcap(b) {
  const out = [];
  for (let at = 24; at + 16 <= b.length; ) {
    const n = b.readUInt32LE(at + 8);
    out.push(b.subarray(at + 16, at + 16 + n));
    at += 16 + n;
  }
  return out;
}
