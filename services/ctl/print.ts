// SPDX-License-Identifier: Apache-2.0

/** Rows as aligned columns; numbers (and what looks like them) to the right. */
export function columns(titles: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const cells = [titles, ...rows.map((r) => r.map(String))];
  const widths = titles.map((_, i) => Math.max(...cells.map((r) => (r[i] ?? "").length)));
  const right = titles.map((_, i) => rows.length > 0 && rows.every((r) => /^-?[\d.]*%?$/.test(String(r[i] ?? ""))));
  const line = (r: readonly string[]): string =>
    r
      .map((c, i) => (right[i] ? c.padStart(widths[i] as number) : c.padEnd(widths[i] as number)))
      .join("  ")
      .trimEnd();
  return cells.map(line).join("\n");
}

/** An enum's name without its prefix, as people write it: MODE_SED with "MODE_" is "sed". */
export const plainEnum = (value: string, prefix: string): string => value.replace(prefix, "").toLowerCase().replaceAll("_", " ");

export function output(json: boolean, value: unknown, text: () => string): void {
  process.stdout.write(`${json ? JSON.stringify(value, null, 2) : text()}\n`);
}
