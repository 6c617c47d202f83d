// SPDX-License-Identifier: Apache-2.0
// A metric family's lines as bytes. Two scrapes differ in a few numbers, so the last text is the template of the next: a line of the same
// labels and value stays as it is, of one with a new value all but the number does, and what stays is copied in runs as long as may be.

export interface Exemplar {
  labels: Readonly<Record<string, string>>;
  value: number;
  unixS: number;
}

/** What a line's name and labels end with: of a histogram's one line of many. One object for all lines of the kind. */
export interface Part {
  /** After the family's name: "_bucket". */
  suffix: string;
  /** The last label: `le="0.1"`; "" = none. */
  label: string;
}

export const WHOLE: Part = { suffix: "", label: "" };

/** Names, addresses and help are plain ASCII here: what is not is shown as "?", and the page's bytes are its characters. */
const ODD = /[\\"\n]|[^\x20-\x7e]/;
export const escaped = (text: string): string =>
  ODD.test(text)
    ? text
        .replaceAll("\\", "\\\\")
        .replaceAll("\n", "\\n")
        .replaceAll('"', '\\"')
        .replace(/[^\x20-\x7e]/g, "?")
    : text;

export const numberText = (v: number): string => {
  if (v === Number.POSITIVE_INFINITY) return "+Inf";
  return v === Number.NEGATIVE_INFINITY ? "-Inf" : String(v);
};

/** `vip="web",server="10.0.0.1:80"`: made once where many families have a line of the same labels. */
export function labelText(labels: Readonly<Record<string, string>>): string {
  let out = "";
  for (const name in labels) out += `${out === "" ? "" : ","}${name}="${escaped(labels[name] as string)}"`;
  return out;
}

const exemplarText = (e: Exemplar): string => ` # {${labelText(e.labels)}} ${numberText(e.value)} ${e.unixS}`;

const ZERO = 48;
const NEWLINE = 10;
/** Below it a whole number is written without a string. */
const SMALL = 2 ** 31;
const NOTHING = Buffer.alloc(0);
/** Bytes that a family's text begins with. */
const ROOM = 1 << 10;
const LEAST_LINES = 16;

/** Of a whole number that is written without a string; 0: it is not one. */
function digitsOf(value: number): number {
  if (!Number.isInteger(value) || value < 0 || value >= SMALL) return 0;
  let digits = 1;
  for (let power = 10; power <= value; power *= 10) digits++;
  return digits;
}

export class Lines {
  readonly #name: string;
  /** Labels of every line. */
  readonly #base: string;
  /** The last text, whole. It may be on its way to a scraper meanwhile. */
  #bytes: Buffer = NOTHING;
  /** The memory of the last text and of the one before it. Anew for each they would be most of what a scrape costs: V8 collects all of its
   * heap for them. */
  #room: Buffer = NOTHING;
  #former: Buffer = NOTHING;
  #mayReuse = false;
  /** Of the last text's lines. `#numbers`: where the number begins; `#ends`: behind the line's newline. */
  #labels: string[] = [];
  #parts: Part[] = [];
  #exemplars: (Exemplar | undefined)[] = [];
  /** As raw numbers: an array that holds one fraction boxes each value that is stored in it, which was most of a scrape's garbage. */
  #values = new Float64Array(0);
  #numbers = new Int32Array(0);
  #ends = new Int32Array(0);
  /** While a text is made. `#next` is empty until something differs; what lies before `#from` of the last text is in it. */
  #next: Buffer = NOTHING;
  #at = 0;
  #from = 0;
  /** Behind the last line that was said, in the last text. */
  #to = 0;
  #said = 0;
  /** Lines whose number only is another: the first `#overs` of it. */
  #over = new Int32Array(0);
  #overs = 0;

  constructor(name: string, base: string) {
    this.#name = name;
    this.#base = base;
  }

  /** One line. `labels` of labelText. */
  say(labels: string, value: number, part: Part, exemplar: Exemplar | undefined): void {
    const i = this.#said++;
    const same = i < this.#labels.length && this.#parts[i] === part && this.#labels[i] === labels;
    const end = i < this.#labels.length ? (this.#ends[i] as number) : this.#bytes.length;
    if (i === this.#values.length) this.#moreLines();
    if (same && Object.is(this.#values[i], value) && this.#exemplars[i] === exemplar) {
      // Only its place may differ.
      const moved = this.#at - this.#from;
      this.#numbers[i] = (this.#numbers[i] as number) + moved;
      this.#ends[i] = end + moved;
      this.#to = end;
      return;
    }
    if (same && !exemplar && !this.#exemplars[i] && digitsOf(value) === end - 1 - (this.#numbers[i] as number)) {
      // As long as the last one: it is written over that when all is copied.
      const moved = this.#at - this.#from;
      this.#numbers[i] = (this.#numbers[i] as number) + moved;
      this.#ends[i] = end + moved;
      this.#values[i] = value;
      this.#over[this.#overs++] = i;
      this.#to = end;
      return;
    }
    if (same) this.#copy(this.#numbers[i] as number);
    else {
      this.#copy(this.#to);
      this.#prefix(labels, part);
      this.#labels[i] = labels;
      this.#parts[i] = part;
    }
    this.#numbers[i] = this.#at;
    this.#number(value);
    if (exemplar) this.#text(exemplarText(exemplar));
    this.#byte(NEWLINE);
    this.#values[i] = value;
    this.#exemplars[i] = exemplar;
    this.#ends[i] = this.#at;
    this.#from = end;
    this.#to = end;
  }

  /** Before the first line. `reuse`: nobody reads the text before the last one any more. */
  begin(reuse: boolean): void {
    this.#mayReuse = reuse;
  }

  /** All lines were said: their text. It stays as it is until two more were made, of which the second may reuse. */
  end(): Buffer {
    const n = this.#said;
    if (this.#at > 0 || this.#overs > 0 || this.#to < this.#bytes.length) {
      this.#copy(this.#to);
      for (let k = 0; k < this.#overs; k++) {
        const i = this.#over[k] as number;
        this.#digits(this.#values[i] as number, this.#numbers[i] as number, (this.#ends[i] as number) - 1);
      }
      this.#overs = 0;
      this.#bytes = this.#next.subarray(0, this.#at);
      this.#former = this.#room;
      this.#room = this.#next;
      for (const list of [this.#labels, this.#parts, this.#exemplars]) list.length = n;
    }
    this.#next = NOTHING;
    this.#at = this.#from = this.#to = this.#said = 0;
    return this.#bytes;
  }

  #moreLines(): void {
    const n = Math.max(LEAST_LINES, 2 * this.#values.length);
    const values = new Float64Array(n);
    const numbers = new Int32Array(n);
    const ends = new Int32Array(n);
    const over = new Int32Array(n);
    values.set(this.#values);
    numbers.set(this.#numbers);
    ends.set(this.#ends);
    over.set(this.#over);
    this.#values = values;
    this.#numbers = numbers;
    this.#ends = ends;
    this.#over = over;
  }

  /** What stays of the last text, up to here. */
  #copy(to: number): void {
    const n = to - this.#from;
    this.#reserve(n);
    this.#bytes.copy(this.#next, this.#at, this.#from, to);
    this.#at += n;
    this.#from = to;
  }

  #prefix(labels: string, { suffix, label }: Part): void {
    let own = this.#base;
    if (labels !== "") own += own === "" ? labels : `,${labels}`;
    if (label !== "") own += own === "" ? label : `,${label}`;
    this.#text(own === "" ? `${this.#name}${suffix} ` : `${this.#name}${suffix}{${own}} `);
  }

  #text(text: string): void {
    this.#reserve(text.length);
    this.#at += this.#next.write(text, this.#at, "latin1");
  }

  #byte(b: number): void {
    this.#reserve(1);
    this.#next[this.#at++] = b;
  }

  #number(value: number): void {
    const digits = digitsOf(value);
    if (digits === 0) {
      this.#text(numberText(value));
      return;
    }
    this.#reserve(digits);
    this.#digits(value, this.#at, this.#at + digits);
    this.#at += digits;
  }

  #digits(value: number, from: number, to: number): void {
    let rest = value | 0;
    for (let k = to - 1; k >= from; k--) {
      const less = (rest / 10) | 0;
      this.#next[k] = ZERO + rest - less * 10;
      rest = less;
    }
  }

  #reserve(n: number): void {
    const most = this.#at + n;
    if (most <= this.#next.length) return;
    const first = this.#next.length === 0;
    if (first && this.#mayReuse && this.#former.length >= Math.max(this.#bytes.length, most)) {
      this.#next = this.#former;
      this.#former = NOTHING;
      return;
    }
    // At first for nearly all of the last text again.
    const wanted = first ? this.#bytes.length + (this.#bytes.length >> 4) : 2 * most;
    const more = Buffer.allocUnsafeSlow(Math.max(ROOM, wanted, most));
    this.#next.copy(more, 0, 0, this.#at);
    this.#next = more;
  }
}
