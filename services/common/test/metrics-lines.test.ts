// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { type Exemplar, Lines, type Part, WHOLE } from "../metrics-lines.js";

type Line = [labels: string, value: number, part?: Part, exemplar?: Exemplar];

function say(lines: Lines, all: readonly Line[]): Buffer {
  for (const [labels, value, part = WHOLE, exemplar] of all) lines.say(labels, value, part, exemplar);
  return lines.end();
}

/** What a text without a past says of the same lines. */
const anew = (all: readonly Line[]): string => say(new Lines("m", 'service="x"'), all).toString();

test("a text is the same whether or not one came before it: values, lengths, lines that come, go and move", (t) => {
  const lines = new Lines("m", 'service="x"');
  const sum: Part = { suffix: "_sum", label: "" };
  const bucket: Part = { suffix: "_bucket", label: 'le="0.1"' };
  const seen: Exemplar = { labels: { trace_id: "abc" }, value: 0.05, unixS: 1.5 };
  const texts: Line[][] = [
    [],
    [['a="1"', 1]],
    [
      ['a="1"', 1],
      ['a="2"', 99],
      ['a="3"', 0],
    ],
    [
      ['a="1"', 1],
      ['a="2"', 100],
      ['a="3"', 0],
    ],
    [
      ['a="1"', 1],
      ['a="2"', 5],
      ['a="3"', Number.NaN],
    ],
    [
      ['a="1"', 1],
      ['a="3"', Number.NaN],
    ],
    [
      ['a="0"', -0.25],
      ['a="1"', 1],
      ['a="3"', Number.POSITIVE_INFINITY],
    ],
    [
      ['a="0"', -0.25],
      ['a="1"', 2_147_483_647],
      ['a="1"', 2_147_483_648, sum],
      ['a="1"', 9, bucket],
    ],
    [
      ['a="0"', 10],
      ['a="1"', 9, bucket, seen],
      ["", 7, bucket],
    ],
    [
      ['a="0"', 10],
      ['a="1"', 9, bucket, { ...seen, unixS: 2 }],
      ["", 7],
    ],
    [],
    [["", 1e21]],
  ];
  for (const text of texts) t.is(say(lines, text).toString(), anew(text));
  for (const text of texts.toReversed()) t.is(say(lines, text).toString(), anew(text));
});

test("many random texts in a row say what each says alone", (t) => {
  let seed = 1;
  const random = (n: number): number => {
    seed = (seed * 48271) % 2147483647;
    return seed % n;
  };
  const lines = new Lines("m", 'service="x"');
  for (let k = 0; k < 300; k++) {
    lines.begin(random(3) > 0);
    const count = random(60);
    const text = Array.from({ length: count }, (_, i): Line => {
      const value = random(4) === 0 ? random(1_000_000) / (1 + random(7)) : random(3);
      return [`server="${random(9) === 0 ? random(5) : i}"`, value];
    });
    t.is(say(lines, text).toString(), anew(text));
  }
});

test("a text that did not change is not written again, and one that was handed out does not change", (t) => {
  const lines = new Lines("m", "");
  const first = say(lines, [
    ['a="1"', 1],
    ['a="2"', 2],
  ]);
  const again = say(lines, [
    ['a="1"', 1],
    ['a="2"', 2],
  ]);
  t.is(again, first);
  say(lines, [
    ['a="1"', 8],
    ['a="2"', 2],
  ]);
  t.is(first.toString(), 'm{a="1"} 1\nm{a="2"} 2\n');
});

test("of two texts the former's memory is used again, where nobody reads it", (t) => {
  const lines = new Lines("m", "");
  const text = (value: number, reuse: boolean): Buffer => {
    lines.begin(reuse);
    return say(lines, [['a="1"', value]]);
  };
  const [first, second] = [text(1, true), text(2, true)];
  const third = text(3, true);
  t.is(third.buffer, first.buffer);
  t.deepEqual([second, third].map(String), ['m{a="1"} 2\n', 'm{a="1"} 3\n']);
  t.not(text(4, false).buffer, second.buffer);
  t.is(second.toString(), 'm{a="1"} 2\n');
});
