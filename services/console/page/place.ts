// SPDX-License-Identifier: Apache-2.0
// What the address bar says: which VIP over which span, so that a page can be sent to somebody. A token that came in it is taken out.

const DEFAULT_SPAN = 600_000;
const TOKEN = "marllb.token";

export function readPlace(): { key: string; span: number } {
  const p = new URLSearchParams(location.hash.slice(1));
  const span = Number(p.get("span"));
  return { key: p.get("vip") ?? "", span: span > 0 ? span : DEFAULT_SPAN };
}

export function place(key: string, span: number): void {
  const p = new URLSearchParams({ vip: key, ...(span !== DEFAULT_SPAN && { span: String(span) }) });
  history.replaceState(null, "", `#${p}`);
}

/** For this tab. */
export const keepToken = (token: string): void => sessionStorage.setItem(TOKEN, token);
export const forgetToken = (): void => sessionStorage.removeItem(TOKEN);

/** The token of the address bar, else the one of this tab. */
export function takeToken(): string {
  const p = new URLSearchParams(location.hash.slice(1));
  const given = p.get("token");
  if (given === null) return sessionStorage.getItem(TOKEN) ?? "";
  keepToken(given);
  p.delete("token");
  history.replaceState(null, "", p.size > 0 ? `#${p}` : location.pathname);
  return given;
}
