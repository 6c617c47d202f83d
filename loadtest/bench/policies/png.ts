// SPDX-License-Identifier: Apache-2.0
// A picture of indexed colours, written as PNG (ISO/IEC 15948) with Node's zlib: rectangles and 5 x 7 letters are all that plots need.
import { deflateSync } from "node:zlib";
import { glyph, glyphHeight, glyphWidth } from "./font.js";

export type Colour = readonly [number, number, number];

export class Picture {
  private readonly pixels: Uint8Array;

  constructor(
    readonly width: number,
    readonly height: number,
    /** At most 256; the first is the background. */
    private readonly palette: readonly Colour[],
  ) {
    this.pixels = new Uint8Array(width * height);
  }

  rectangle(x: number, y: number, w: number, h: number, colour: number): void {
    const left = Math.max(0, Math.round(x));
    const right = Math.min(this.width, Math.round(x + w));
    for (let row = Math.max(0, Math.round(y)); row < Math.min(this.height, Math.round(y + h)); row++)
      if (right > left) this.pixels.fill(colour, row * this.width + left, row * this.width + right);
  }

  /** Upper left corner at x, y; letters are 5 x 7 points of `scale` pixels. */
  text(x: number, y: number, text: string, colour: number, scale = 2): void {
    let at = x;
    for (const c of text) {
      for (const [row, bits] of glyph(c).entries())
        for (let column = 0; column < glyphWidth; column++)
          if (bits & (1 << (glyphWidth - 1 - column))) this.rectangle(at + column * scale, y + row * scale, scale, scale, colour);
      at += (glyphWidth + 1) * scale;
    }
  }

  static textWidth(text: string, scale = 2): number {
    return [...text].length * (glyphWidth + 1) * scale;
  }

  static textHeight(scale = 2): number {
    return glyphHeight * scale;
  }

  at(x: number, y: number): number {
    return this.pixels[y * this.width + x] ?? 0;
  }

  png(): Buffer {
    const header = Buffer.alloc(13);
    header.writeUInt32BE(this.width, 0);
    header.writeUInt32BE(this.height, 4);
    header.set([8, 3, 0, 0, 0], 8); // 8 bits, palette, deflate, no filter method but 0, not interlaced
    const raw = Buffer.alloc((this.width + 1) * this.height); // each row begins with its filter: 0, none
    for (let y = 0; y < this.height; y++)
      raw.set(this.pixels.subarray(y * this.width, (y + 1) * this.width), y * (this.width + 1) + 1);
    return Buffer.concat([
      Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
      chunk("IHDR", header),
      chunk("PLTE", Buffer.from(this.palette.flat())),
      chunk("IDAT", deflateSync(raw)),
      chunk("IEND", Buffer.alloc(0)),
    ]);
  }
}

/** CRC-32 as PNG wants it, bit by bit: a plot is small. (Node's own came with 20.15 only.) */
function crc32(data: Buffer): number {
  let crc = 0xffffffff;
  for (const byte of data) {
    crc ^= byte;
    for (let i = 0; i < 8; i++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const out = Buffer.alloc(body.length + 8);
  out.writeUInt32BE(data.length, 0);
  body.copy(out, 4);
  out.writeUInt32BE(crc32(body), body.length + 4);
  return out;
}
