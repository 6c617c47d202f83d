// SPDX-License-Identifier: Apache-2.0
// Figures of the exchange of counts; without one they have no series.
import { type Registry, readCounter, readGauge } from "../common/metrics.js";
import type { CountsFigures, CountsPeer } from "../common/native/counts.js";

export function countsMetrics(registry: Registry, figures: () => CountsFigures | null): void {
  const counters: [name: string, help: string, of: (f: CountsFigures) => number][] = [
    ["sent_total", "Datagrams of counts sent to other load balancers", (f) => f.sent],
    ["sent_bytes_total", "Bytes of them", (f) => f.sentBytes],
    ["unsent_total", "Datagrams of counts that the kernel did not take", (f) => f.unsent],
    ["received_bytes_total", "Bytes of the datagrams that came", (f) => f.heardBytes],
    ["cpu_seconds_total", "Processor time of the exchange of counts", (f) => f.cpuMs / 1000],
  ];
  for (const [name, help, of] of counters) {
    readCounter(registry, `marllb_counts_${name}`, help, [], (say) => {
      const f = figures();
      if (f) say({}, of(f));
    });
  }
  const received = "Datagrams of counts that came, by what became of them; all but heard and own are refused";
  readCounter(registry, "marllb_counts_received_total", received, ["verdict"], (say) => {
    for (const [verdict, n] of Object.entries(figures()?.verdicts ?? {})) say({ verdict }, n);
  });
  readGauge(registry, "marllb_counts_members", "Addresses that counts are sent to", [], (say) => {
    const f = figures();
    if (f) say({}, f.members);
  });
  peerMetrics(registry, () => figures()?.peers ?? []);
}

function peerMetrics(registry: Registry, peers: () => readonly CountsPeer[]): void {
  const each = (of: (p: CountsPeer) => number) => (say: (labels: { peer: string }, value: number) => void) => {
    for (const p of peers()) say({ peer: p.instance }, of(p));
  };
  const labels = ["peer"] as const;
  const counters: [name: string, help: string, of: (p: CountsPeer) => number][] = [
    ["heard_total", "Datagrams of another load balancer that were taken", (p) => p.heard],
    ["lost_total", "Datagrams missing in the sequence of another load balancer", (p) => p.lost],
  ];
  for (const [name, help, of] of counters) readCounter(registry, `marllb_counts_peer_${name}`, help, labels, each(of));
  const gauges: [name: string, help: string, of: (p: CountsPeer) => number][] = [
    ["up", "1 while another load balancer's counts are fresh and count", (p) => (p.alive ? 1 : 0)],
    ["age_seconds", "Since its last datagram", (p) => p.ageMs / 1000],
    ["delay_seconds", "One way, half of the way there and back, decayed", (p) => p.delayMs / 1000],
    ["servers", "Servers that it names and this load balancer has, too", (p) => p.shared],
  ];
  for (const [name, help, of] of gauges) readGauge(registry, `marllb_counts_peer_${name}`, help, labels, each(of));
}
