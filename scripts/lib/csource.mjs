// SPDX-License-Identifier: Apache-2.0
// What the rules need to know of a C source in the form that clang-format gives it: its code without comments and strings, its
// functions with their lines, the names that it defines and uses. No parser: the form makes a small scanner enough.

/** The text with comments and the insides of strings and characters blanked; lines and columns stay. */
export function blankText(text) {
  return text.replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:\\[\s\S]|[^"\\\n])*"|'(?:\\[\s\S]|[^'\\\n])*'/g, (m) =>
    m[0] === "/" ? m.replace(/[^\n]/g, " ") : m[0] + m.slice(1, -1).replace(/[^\n]/g, " ") + m[0],
  );
}

/** Preprocessor lines (with their continuations) blanked. */
export function blankDirectives(code) {
  return code.replace(/^[ \t]*#(?:[^\n]*\\\n)*[^\n]*/gm, (m) => m.replace(/[^\n]/g, " "));
}

/** Braces of `extern "C"` and namespaces blanked, but for their ends, which are met at depth 0. */
function blankLinkage(code) {
  return code.replace(/\b(?:extern\s+"[^"]*"|namespace(?:\s+\w+)?)\s*\{/g, (m) => m.replace(/[^\n]/g, " "));
}

/** Code alone: what the scans below walk through. */
const bare = (text) => blankLinkage(blankDirectives(blankText(text)));

/** `what(arguments)` at the end of a head, where `what` is the function's name. */
const HEAD = /([A-Za-z_]\w*)\s*\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)(?:\s*__attribute__\s*\(\(.*?\)\))?\s*$/s;

/**
 * The functions that the code defines: {name, line, lines, isStatic}. `lines` counts from the head's first line to the closing
 * brace.
 */
export function functions(text) {
  const code = bare(text);
  const found = [];
  let depth = 0;
  let head = 0; // where the outermost declaration began
  let open = null;
  for (let i = 0; i < code.length; i++) {
    const c = code[i];
    if (c === "{") {
      const before = code.slice(head, i);
      if (depth++ === 0) {
        const m = /=\s*$|\b(struct|union|enum)\s+\w*\s*$/.test(before) ? null : HEAD.exec(before);
        open = m && { name: m[1], from: head + before.search(/\S/), isStatic: /\bstatic\b/.test(before) };
      }
    } else if (c === "}") {
      if (depth === 0) {
        head = i + 1;
        continue;
      }
      if (--depth > 0) continue;
      if (open) {
        const line = lineOf(code, open.from);
        found.push({
          name: open.name,
          line,
          lines: lineOf(code, i) - line + 1,
          isStatic: open.isStatic,
        });
        head = i + 1;
      }
      open = null;
    } else if (c === ";" && depth === 0) head = i + 1;
  }
  return found;
}

const lineOf = (text, at) => text.slice(0, at).split("\n").length;

/** Names used inside of braces: in functions, initialisers and types. Members (`a.b`, `a->b`) and labels are none. */
export function usedNames(text) {
  const code = bare(text);
  const names = new Set();
  let depth = 0;
  for (const m of code.matchAll(/[{}]|(?<![\w.]|->)[A-Za-z_]\w*/g)) {
    if (m[0] === "{") depth++;
    else if (m[0] === "}") depth = Math.max(0, depth - 1);
    else if (depth > 0) names.add(m[0]);
  }
  return names;
}

/** What is included in quotes or, of this tree, in angle brackets. */
export function includes(text) {
  return [...text.matchAll(/^[ \t]*#[ \t]*include[ \t]+(?:"([^"]+)"|<((?:marllb|lb_rl)\/[^>]+)>)/gm)].map((m) => m[1] ?? m[2]);
}

/** Columns of a line with tabs of 8. */
export function columns(line) {
  let n = 0;
  for (const c of line) n = c === "\t" ? n - (n % 8) + 8 : n + 1;
  return n;
}
