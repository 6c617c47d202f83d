// SPDX-License-Identifier: Apache-2.0
// The configuration's shape, defaults and ranges. Durations are milliseconds (`_ms`), times are never negative, 0 means "no limit"
// only where a comment says so.
import { isIP, isIPv4, isIPv6 } from "node:net";
import * as z from "zod";
import { PROXY_VERSIONS } from "../checks/proxy.js";
import { defaultOf, LOAD_WORDS, MODE_WORDS, OWNER_WORDS, TRUST_WORDS } from "../vocabulary.js";
import { isIpPort, isNetwork, parseHostPort } from "./address.js";
import { health, healthLevel } from "./health-schema.js";
import { hostInstance } from "./host-instance.js";

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "silent"] as const;
export const TRACE_PROTOCOLS = ["grpc", "http/protobuf", "http/json"] as const;
export const SERVICES = ["shm_agent", "inference", "health", "failover", "console"] as const;

/** The control socket is made beside it, as PATH.ctl.PID first: what the kernel takes as a socket's name is 107 bytes. */
const MAX_REGION_PATH = 95;

const address = (good: (s: string) => boolean, expected: string) =>
  z.string().refine(good, {
    error: ({ input }) =>
      String(input).includes("%") ? `${expected}; an address with a scope (%...) is not supported` : expected,
  });
const hostPort = address((s) => parseHostPort(s) !== null, 'expected HOST:PORT, such as 127.0.0.1:50051 or "[::1]:50051"');
const ipPort = address(isIpPort, 'expected IP:PORT, such as 10.0.0.1:80 or "[2001:db8::1]:80"');
const ip = address(
  (s) => (isIPv4(s) || isIPv6(s)) && !s.includes("%"),
  'expected an IP address without port, such as 10.0.0.2 or "::1"',
);
const network = address(isNetwork, 'expected a network without bits beyond its prefix, such as 10.0.0.0/8 or "2001:db8::/32"');
// gRPC resolves it: HOST:PORT, or a resolver's name such as dns:///inference.lb:50052.
const dialled = z.string().regex(/^[^\s"']+$/, { error: "expected HOST:PORT or a name that gRPC can resolve, without spaces" });
const endpoint = z.string().regex(/^$|^(https?:\/\/)?(\[[0-9A-Fa-f:.]+\]|[^\s:/[\]]+)(:\d{1,5})?(\/\S*)?$/, {
  error: 'expected a URL, such as http://127.0.0.1:4317, or "" for none',
});
const ms = (min: number, max: number) => z.number().int().min(min).max(max);
const count = (max = 4_294_967_295) => z.number().int().min(0).max(max);
const name = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,30}$/, {
  error: "expected 1 to 31 letters, digits, '.', '_' or '-', a letter or digit first",
});
// Which policies there are is known where they are used: common/policies.ts.
const policy = z.string().regex(/^(model:)?[A-Za-z0-9][A-Za-z0-9._-]*$/, {
  error: "expected a policy's name (marllbctl policy list), such as kalman, or marl for models/marl.onnx",
});

const server = z.strictObject({
  address: ipPort,
  weight: z.number().positive().max(1e6).default(1),
  max_connections: count().default(0), // 0 = no limit
  drain: z.boolean().default(false),
  send_proxy: z.enum(["vip", ...PROXY_VERSIONS]).default("vip"), // vip: as the VIP says
  health: healthLevel.optional(),
});

const dnsName = z
  .string()
  .max(253)
  .regex(/^([A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}\.?$/, {
    error: "expected a whole DNS name, such as _http._tcp.web.example.org",
  });

/** Whom a pool follows (services/failover/discovery). */
const discover = z
  .strictObject({
    dns: address((s) => {
      const hp = parseHostPort(s);
      return hp !== null && hp.port > 0 && dnsName.safeParse(hp.host).success && isIP(hp.host) === 0;
    }, "expected NAME:PORT, such as web.example.org:8080").optional(),
    srv: dnsName.optional(),
    file: z.string().startsWith("/", { error: "expected an absolute path" }).optional(),
    // The three below are of names: which name server ("" = those of /etc/resolv.conf), which addresses, and between how often and how seldom
    // it is asked, whatever the records' time to live says.
    server: address(
      (s) => s === "" || isIpPort(s) || isIP(s) !== 0,
      "expected an IP address of a name server, with or without port",
    ).default(""),
    family: z.enum(["any", "ipv4", "ipv6"]).default("any"),
    min_ttl_ms: ms(100, 3_600_000).default(1000),
    max_ttl_ms: ms(100, 86_400_000).default(60_000),
    hold_ms: ms(0, 3_600_000).default(10_000), // a server that answers lack stays for so long
  })
  .superRefine((d, ctx) => {
    const named = [d.dns, d.srv, d.file].filter((x) => x !== undefined).length;
    if (named !== 1) ctx.addIssue({ code: "custom", message: "expected one of dns, srv and file" });
    if (d.min_ttl_ms > d.max_ttl_ms)
      ctx.addIssue({ code: "custom", path: ["min_ttl_ms"], message: `expected at most max_ttl_ms (${d.max_ttl_ms})` });
  });

const vip = z.strictObject({
  name,
  address: ipPort,
  protocol: z.enum(["tcp", "udp"]).default("tcp"),
  responses: count(1_000_000).default(0), // of a UDP flow; 0 = it ends by time alone
  mode: z.enum(MODE_WORDS).default("sed"),
  load: z.enum(LOAD_WORDS).default("flows"),
  pool: z.enum(OWNER_WORDS).default("local"),
  discover: discover.optional(),
  // VPP's: words of `lb rl set-vip`, which VPP checks
  forwarding: z
    .string()
    .regex(/^[a-z0-9][a-z0-9.: -]*$/, { error: "expected words of `lb rl set-vip`, such as nat or l3dsr dscp 7" })
    .default("nat"),
  // What becomes of the flows of a server that is down, or that left the list.
  on_down: z.enum(["wait", "close"]).default("wait"),
  on_removed: z.enum(["wait", "close"]).default("wait"),
  policy: policy.default("marl"),
  trust: z
    .union([z.enum(TRUST_WORDS), z.number().min(0).max(10)], {
      error: `expected ${TRUST_WORDS.join(", ")}, or a number from 0 to 10`,
    })
    .default("hint"),
  kappa: z.number().min(0).max(1000).default(0), // 0 = 1 / load balancers
  max_connections: count().default(0), // 0 = no limit
  max_connections_per_source: count(16_777_214).default(0), // 0 = no limit
  eject: z.boolean().default(true),
  guard: z.boolean().default(true),
  load_balancers: z.number().int().min(1).max(1024).default(1),
  accept_proxy: z.array(network).max(32).default([]), // connections from there begin with a PROXY header
  send_proxy: z.enum(PROXY_VERSIONS).default("off"),
  health: healthLevel.optional(),
  servers: z.array(server).max(1024).default([]),
});

const service = (port: number, metrics: number) =>
  z
    .strictObject({
      listen: hostPort.default(`127.0.0.1:${port}`),
      // What others dial; default: listen. A DNS name with several addresses is balanced over by the clients.
      address: dialled.optional(),
      metrics: hostPort.default(`127.0.0.1:${metrics}`),
    })
    .prefault({});

const etcd = z
  .strictObject({
    kind: z.literal("etcd"),
    // HOST:PORT or a URL each; one that answers suffices.
    endpoints: z
      .array(z.string().regex(/^(https?:\/\/)?[^\s/]+$/, { error: "expected HOST:PORT, http://HOST:PORT or https://HOST:PORT" }))
      .min(1),
    prefix: z.string().default("/marllb/"),
    username: z.string().min(1).optional(),
    password: z.string().optional(),
    password_file: z.string().min(1).optional(),
    tls: z
      .strictObject({
        ca: z.string().min(1),
        cert: z.string().min(1).optional(),
        key: z.string().min(1).optional(),
      })
      .optional(),
  })
  .superRefine((s, ctx) => {
    const issue = (path: string[], message: string): void => ctx.addIssue({ code: "custom", path, message });
    if (s.password !== undefined && s.password_file !== undefined)
      issue(["password"], "expected either password or password_file");
    const secret = s.password !== undefined || s.password_file !== undefined;
    if ((s.username !== undefined) !== secret)
      issue(["username"], "expected username with password or password_file, or none of them");
    if (s.tls && (s.tls.cert === undefined) !== (s.tls.key === undefined)) issue(["tls"], "expected cert with key, or neither");
    const plain = s.endpoints.find((e) => e.startsWith(s.tls ? "http://" : "https://"));
    if (plain) issue(["endpoints"], s.tls ? `expected https with tls, found ${plain}` : `expected tls.ca for ${plain}`);
  });

export const schema = z.strictObject({
  instance: name.default(() => hostInstance()),
  region: z
    .strictObject({
      path: z.string().startsWith("/", { error: "expected an absolute path" }).max(MAX_REGION_PATH).default("/dev/shm/lb_rl_shm"),
      group: z.string().default(""), // empty: mode 0600
    })
    .prefault({}),
  tick_ms: ms(10, 10_000).default(200),
  dataplane: z
    .strictObject({
      // A name that marllbctl resolves against the data planes that it can run (services/ctl/dataplanes).
      kind: name.default("embedded"),
      threads: z.number().int().min(0).max(64).default(0), // 0 = one a core
      // Defaults are the core's, so that a data plane that is started by hand has the same (native/core/include/marllb/vocab.h).
      max_vips: z.number().int().min(1).max(1024).default(defaultOf("max-vips")), // what the region is made for
      max_servers: z.number().int().min(1).max(16_384).default(defaultOf("max-servers")), // of all VIPs
      lease_ms: ms(100, 60_000).default(defaultOf("lease")),
      connect_timeout_ms: ms(1, 60_000).default(defaultOf("connect-timeout")),
      retries: z.number().int().min(0).max(7).default(defaultOf("retries")),
      idle_timeout_ms: ms(1000, 86_400_000).default(defaultOf("idle-timeout")),
      first_byte_timeout_ms: ms(0, 86_400_000).default(defaultOf("first-byte-timeout")), // 0 = idle_timeout_ms
      proxy_header_timeout_ms: ms(10, 600_000).default(defaultOf("proxy-header-timeout")),
      half_closed_timeout_ms: ms(0, 86_400_000).default(defaultOf("half-closed-timeout")), // 0 = idle_timeout_ms
      udp_timeout_ms: ms(10, 86_400_000).default(defaultOf("udp-timeout")),
      udp_coalesce_us: z.number().int().min(0).max(10_000).default(defaultOf("udp-coalesce")), // 0 = never wait
      udp_receive_buffer: z.number().int().min(4).max(1_048_576).default(defaultOf("udp-receive-buffer")), // KiB
      keepalive_ms: ms(0, 32_767_000).default(defaultOf("keepalive")), // 0 = no probes
      keepalive_interval_ms: ms(1000, 32_767_000).default(defaultOf("keepalive-interval")),
      keepalive_probes: z.number().int().min(1).max(127).default(defaultOf("keepalive-probes")),
      user_timeout_ms: ms(0, 2_147_483_647).default(defaultOf("user-timeout")), // 0 = the kernel's
      drain_timeout_ms: ms(0, 86_400_000).default(defaultOf("drain-timeout")),
      pipe_memory: count(1_048_576).default(defaultOf("pipe-memory")), // MiB
      backlog: z.number().int().min(1).max(65_535).default(defaultOf("backlog")),
      freebind: z.boolean().default(false),
      transparent: z.boolean().default(false),
      max_connections: count().default(0), // 0 = as descriptors allow
      sources: z.array(ip).max(16).default([]),
      vpp: z
        .strictObject({
          socket: z
            .string()
            .regex(/^$|^\//, { error: 'expected an absolute path, or "" for a VPP of the launcher\'s own' })
            .default(""),
          vppctl: z.string().min(1).default("vppctl"),
          flows: z.number().int().min(1024).max(134_217_728).default(65_536),
          nat_interfaces: z
            .array(z.string().regex(/^[A-Za-z0-9][A-Za-z0-9/._-]*$/, { error: "expected the name of an interface of VPP's" }))
            .max(64)
            .default([]),
        })
        .prefault({}),
    })
    .prefault({}),
  vips: z.array(vip).max(1024).default([]),
  services: z
    .strictObject({
      shm_agent: service(50051, 9101),
      inference: service(50052, 9102),
      health: service(50053, 9103),
      failover: service(50054, 9104),
      console: service(3000, 9105), // HTTP; `address`: what browsers open, such as lb.example.org
    })
    .prefault({}),
  // Live counts shared with the load balancers that have the same servers.
  counts: z
    .strictObject({
      listen: address((t) => t === "" || isIpPort(t), 'expected IP:PORT for UDP, such as 10.0.0.1:7400, or "" for none').default(
        "",
      ),
      address: hostPort.optional(), // what the others send to; default: listen
      key_file: z.string().default(""),
      period_ms: ms(5, 100).default(20),
      members: z.array(hostPort).max(128).default([]),
    })
    .prefault({}),
  tls: z
    .strictObject({
      cert: z.string().min(1),
      key: z.string().min(1),
      ca: z.string().min(1).optional(), // given: clients must show a certificate of it
    })
    .optional(),
  inference: z
    .strictObject({
      models: z.string().min(1).default("models"), // relative to the project's folder
      batch_ms: z.number().min(0).max(50).default(2),
      // What was seen and decided, for marllbctl replay and explain --at: files of so many MiB a VIP and load balancer; 0 = not kept.
      decisions: z
        .strictObject({
          folder: z.string().min(1).default("decisions"),
          file_mib: z.number().min(0).max(4096).default(16),
          files: z.number().int().min(2).max(1000).default(4),
        })
        .prefault({}),
      experiments: z.string().min(1).default("experiments"), // folder of their results
      guardrail_share: z.number().min(0).max(0.2).default(0.02), // of the time, to the reference; 0: only sudden harm is noticed
      // Seconds of traffic that make a level: before, nothing is unusual. Fewer notice harm sooner after a start, and are more often wrong.
      guardrail_learn_s: z.number().int().min(20).max(600).default(300),
      warm_up: z.boolean().default(true), // the agent's warm-up requests: a faster tick for under 1 % of a core
    })
    .prefault({}),
  health,
  failover: z
    .strictObject({
      store: z
        .discriminatedUnion("kind", [
          z.strictObject({ kind: z.literal("memory") }),
          z.strictObject({ kind: z.literal("file"), path: z.string().min(1).default("failover") }), // a folder
          etcd,
        ])
        .prefault({ kind: "file" }),
      min_healthy: z.number().int().min(0).max(1024).default(1),
      // Below this share of healthy servers nobody is masked: better a sick server than an overloaded one.
      panic_threshold: z.number().min(0).max(1).default(0.3),
      slow_start_ms: ms(0, 600_000).default(5000),
    })
    .prefault({}),
  console: z
    .strictObject({
      token_file: z.string().default(""), // who shows what it holds may act; empty: nobody may by a token
      operators: z.array(z.string().min(1).max(64)).max(64).default([]), // common names of client certificates that may act
      agents: z.array(dialled).max(256).default([]), // of the load balancers that are shown; empty: services.shm_agent
      capacity: z.record(ipPort, z.number().positive()).default({}), // of servers, where it is known: it is drawn, nothing else
    })
    .prefault({}),
  envelope: z
    .strictObject({
      step_ratio: z.number().min(1).max(1000).default(2),
      ejected_cap: z.number().gt(0).max(1).default(0.05),
    })
    .prefault({}),
  tracing: z
    .strictObject({
      endpoint: endpoint.default(""), // empty: off (OTEL_EXPORTER_OTLP_ENDPOINT turns it on as well)
      // Empty: as OTEL_EXPORTER_OTLP_PROTOCOL says, else grpc.
      protocol: z.enum(["", ...TRACE_PROTOCOLS]).default(""),
      sample_ms: ms(0, 3_600_000).default(1000), // one tick of so many milliseconds; 0 = every tick
      slow_ms: z.number().gt(0).max(10_000).default(20), // frame to effect; a tick that takes longer is always traced
    })
    .prefault({}),
  log: z
    .strictObject({
      level: z.enum(LOG_LEVELS).default("info"),
      time: z.enum(["unix", "iso"]).default("unix"), // milliseconds since 1970, or 2026-01-31T12:00:00.000Z
    })
    .prefault({}),
});

export type Protocol = Config["vips"][number]["protocol"];
export type Config = z.output<typeof schema>;
export type ServiceName = (typeof SERVICES)[number];
