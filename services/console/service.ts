// SPDX-License-Identifier: Apache-2.0
// The console: a page on what the load balancers do and why, from what every agent, failover and inference say.
import type { CreateWebService } from "../common/run.js";
import { Console } from "./console.js";
import { Sources } from "./sources.js";

export const create: CreateWebService = ({ config, log, registry, clock }) => {
  const it = new Console({ config, log, registry, unixMs: clock.unixMs, now: clock.now });
  const { model, pasts, events, live, access } = it;
  const sources = new Sources({ config, clock, log, model, pasts, events, watched: () => live.watched() });
  return {
    protocol: config.tls ? "https" : "http",
    open: (at) => it.open(at, sources),
    whyNotReady: () => (model.briefs(clock.unixMs()).length === 0 ? "no load balancer has said anything yet" : null),
    reload: { keys: ["console.token_file"], apply: (c) => access.reload(c) },
    async stop() {
      live.stop();
      sources.close();
    },
  };
};
