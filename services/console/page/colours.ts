// SPDX-License-Identifier: Apache-2.0
// Colours that scripts draw with. The style sheet has them; a canvas has to be told.

/** A custom property of the style sheet as it is now: it differs between light and dark. */
export const colour = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

const FIRST = [215, 28, 145, 330, 48, 265, 180, 0];
const GOLDEN = 137.508;

/** A server's line, by its number: eight that differ well, then ever new ones. The lightness is the theme's. */
export function lineColour(i: number): string {
  const hue = FIRST[i] ?? (i * GOLDEN) % 360;
  return `hsl(${hue.toFixed(0)} ${colour("line-saturation") || "65%"} ${colour("line-lightness") || "45%"})`;
}

const THEME = "marllb.theme";
export type Theme = "auto" | "light" | "dark";

/** A browser that keeps nothing throws. */
function kept<T>(use: () => T, otherwise: T): T {
  try {
    return use();
  } catch {
    return otherwise;
  }
}

export function storedTheme(): Theme {
  const t = kept(() => localStorage.getItem(THEME), null);
  return t === "light" || t === "dark" ? t : "auto";
}

export function applyTheme(t: Theme): void {
  kept(() => localStorage.setItem(THEME, t), undefined);
  if (t === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = t;
}
