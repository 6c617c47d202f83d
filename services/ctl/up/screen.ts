// SPDX-License-Identifier: Apache-2.0
// Redraws a block of lines in place on a terminal; elsewhere nothing but plain lines is written.

export class Screen {
  #drawn = 0;

  constructor(readonly out: NodeJS.WriteStream) {}

  /** Replaces what the last call drew. Lines are cut to the width: a wrapped line would break the count. */
  draw(lines: readonly string[]): void {
    const width = this.out.columns ?? 80;
    const most = Math.max(4, (this.out.rows ?? 24) - 1);
    const shown = lines.slice(0, most).map((l) => cut(l, width - 1));
    this.out.write(`${this.#up()}${shown.map((l) => `${l}\x1b[K\n`).join("")}\x1b[J\x1b[?25l`);
    this.#drawn = shown.length;
  }

  /** A line that stays, above the block. */
  say(line: string): void {
    this.out.write(`${this.#up()}\x1b[J${line}\n`);
    this.#drawn = 0;
  }

  /** The block stays where it is; what is said from now on comes below it. */
  close(): void {
    this.out.write("\x1b[?25h");
    this.#drawn = 0;
  }

  #up(): string {
    return this.#drawn > 0 ? `\x1b[${this.#drawn}A\r` : "";
  }
}

const esc = "\u001b";
const colours = new RegExp(`(${esc}\\[[0-9;]*m)`);

/** Cuts to so many visible characters; colour sequences count nothing. */
export function cut(line: string, width: number): string {
  let visible = 0;
  let out = "";
  for (const part of line.split(colours)) {
    if (part.startsWith(esc)) out += part;
    else {
      out += part.slice(0, Math.max(0, width - visible));
      visible += part.length;
    }
  }
  return out;
}
