// SPDX-License-Identifier: Apache-2.0
// No store: intents last as long as this process. For tries, and where a restart may forget every order.
import { type Change, HISTORY_LIMIT, type Intent } from "./intent.js";
import type { Store } from "./store.js";

export function memoryStore(): Store {
  const records = new Map<string, { intent: Intent; history: Change[] }>();
  const mark = (pool: string): string | null => records.get(pool)?.intent.version.toString() ?? null;
  return {
    follow: (listener) => listener.listed([]),
    async read(pool) {
      const r = records.get(pool);
      return r ? { intent: r.intent, mark: mark(pool) as string } : null;
    },
    async commit(c) {
      const { pool } = c.intent;
      if (mark(pool) !== c.mark) return null;
      const history = [...[...c.changes].reverse(), ...(records.get(pool)?.history ?? [])].slice(0, HISTORY_LIMIT);
      records.set(pool, { intent: c.intent, history });
      return mark(pool);
    },
    history: async (pool, limit) => (records.get(pool)?.history ?? []).slice(0, limit),
    close: async () => {},
  };
}
