// SPDX-License-Identifier: Apache-2.0
// Drawing, one piece a frame: a message that changes five charts does not hold the page up in one.

const waiting = new Map<object, () => void>();
let asked = false;

/** Draws for `who` in one of the next frames; what waits for the same one is replaced. */
export function drawSoon(who: object, draw: () => void): void {
  waiting.set(who, draw);
  if (asked) return;
  asked = true;
  requestAnimationFrame(next);
}

export function forgetDraw(who: object): void {
  waiting.delete(who);
}

function next(): void {
  const first = waiting.entries().next();
  asked = false;
  if (first.done) return;
  const [who, draw] = first.value;
  waiting.delete(who);
  try {
    draw();
  } finally {
    if (waiting.size > 0) {
      asked = true;
      requestAnimationFrame(next);
    }
  }
}
