// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { cut, Screen } from "../up/screen.js";

class Terminal {
  columns = 20;
  rows = 10;
  text = "";
  write(s: string): boolean {
    this.text += s;
    return true;
  }
}

const screenOn = (t: Terminal): Screen => new Screen(t as unknown as NodeJS.WriteStream);

test("a block is drawn over the last one", (t) => {
  const term = new Terminal();
  const screen = screenOn(term);
  screen.draw(["a", "b"]);
  term.text = "";
  screen.draw(["c", "d"]);
  t.true(term.text.startsWith("\x1b[2A\r"), "two lines up");
});

test("a line said while a block is shown takes its place; the block comes back below it", (t) => {
  const term = new Terminal();
  const screen = screenOn(term);
  screen.draw(["a", "b"]);
  term.text = "";
  screen.say("news");
  t.is(term.text, "\x1b[2A\r\x1b[Jnews\n");
  term.text = "";
  screen.draw(["c"]);
  t.false(term.text.includes("A\r"));
});

test("the last block stays when it is over: what is said then comes below", (t) => {
  const term = new Terminal();
  const screen = screenOn(term);
  screen.draw(["a", "b"]);
  screen.close();
  term.text = "";
  screen.say("stopped");
  t.is(term.text, "\x1b[Jstopped\n");
});

test("lines are cut to the width, colours count nothing", (t) => {
  t.is(cut("\x1b[1mabcdef\x1b[0m", 3), "\x1b[1mabc\x1b[0m");
});
