// SPDX-License-Identifier: Apache-2.0
// The data plane's own process, as /proc shows it: it serves no metrics itself, so that it has nothing to do but forward. Where the agent
// may not look (another PID namespace, another user) the figures are absent.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { type Registry, readCounter, readGauge } from "../common/metrics.js";

export interface DataplaneProcess {
  pid: number;
  /** CLOCK_REALTIME at its start, ns: a later process of the same number is another one. */
  dpEpoch: bigint;
  name: string;
}

export interface ProcessStat {
  cpuS: number;
  residentBytes: number;
  threads: number;
  startUnixS: number;
}

/** Clock ticks a second of /proc; 100 on every Linux that Node runs on. */
const HZ = 100;
const PAGE = 4096;
/** A process names itself in its region a little after its start. */
const START_SLACK_S = 5;

/** Of /proc/PID/stat; times by the kernel's clock, `bootUnixS` is when it began. null: not a line of it. */
export function parseStat(text: string, bootUnixS: number): ProcessStat | null {
  // The name, in brackets, may hold anything.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const at = (i: number): number => Number(fields[i - 3]);
  if (fields.length < 22 || !Number.isFinite(at(22))) return null;
  return {
    cpuS: (at(14) + at(15)) / HZ,
    threads: at(20),
    startUnixS: bootUnixS + at(22) / HZ,
    residentBytes: at(24) * PAGE,
  };
}

function stat({ pid, dpEpoch }: DataplaneProcess): ProcessStat | null {
  try {
    const boot = Number(/^btime (\d+)$/m.exec(readFileSync("/proc/stat", "utf8"))?.[1]);
    const found = parseStat(readFileSync(`/proc/${pid}/stat`, "utf8"), boot);
    return found && found.startUnixS <= Number(dpEpoch / 1_000_000_000n) + START_SLACK_S ? found : null;
  } catch {
    return null;
  }
}

function descriptors(pid: number): { open: number; most: number } | null {
  try {
    const limits = readFileSync(`/proc/${pid}/limits`, "utf8");
    const most = /^Max open files\s+(\S+)/m.exec(limits)?.[1];
    // Since Linux 6.2 the folder's size is the count; reading a million names would take a second.
    const size = statSync(`/proc/${pid}/fd`).size;
    const open = size > 0 ? size : readdirSync(`/proc/${pid}/fd`).length;
    return { open, most: most === "unlimited" ? Number.POSITIVE_INFINITY : Number(most) };
  } catch {
    return null;
  }
}

/** `attached`: the data plane that lives; null: none. */
export function dataplaneMetrics(registry: Registry, attached: () => DataplaneProcess | null): void {
  readGauge(registry, "marllb_dataplane_info", "1; which data plane the agent is attached to", ["dataplane"], (say) => {
    const it = attached();
    if (it) say({ dataplane: it.name }, 1);
  });
  const cpu = "User and system CPU time of the data plane's process";
  readCounter(registry, "marllb_dataplane_cpu_seconds_total", cpu, [], (say) => of((s) => say({}, s.cpuS)));
  const gauges: [name: string, help: string, value: (s: ProcessStat) => number][] = [
    ["resident_memory_bytes", "Resident memory of the data plane's process", (s) => s.residentBytes],
    ["threads", "Threads of the data plane's process", (s) => s.threads],
    ["start_time_seconds", "Start of the data plane's process, since 1970", (s) => s.startUnixS],
  ];
  for (const [name, help, value] of gauges)
    readGauge(registry, `marllb_dataplane_${name}`, help, [], (say) => of((s) => say({}, value(s))));
  const fds: [name: string, help: string, value: (d: { open: number; most: number }) => number][] = [
    ["open_fds", "Descriptors that the data plane's process has open", (d) => d.open],
    ["max_fds", "Descriptors that it may have open", (d) => d.most],
  ];
  for (const [name, help, value] of fds)
    readGauge(registry, `marllb_dataplane_${name}`, help, [], (say) => {
      const it = attached();
      const d = it && descriptors(it.pid);
      if (d) say({}, value(d));
    });

  function of(say: (s: ProcessStat) => void): void {
    const it = attached();
    const s = it && stat(it);
    if (s) say(s);
  }
}
