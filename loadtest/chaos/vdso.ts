// SPDX-License-Identifier: Apache-2.0
// The wall clock of a process that reads it past the C library, as Go does: the code in its vDSO is replaced by the system call and an
// offset. Through /proc, while the process is stopped and no thread of it is in there. x86-64 only.
import { closeSync, openSync, readdirSync, readFileSync, readSync, writeSync } from "node:fs";
import { sleep } from "../../testbed/wait.js";

/** Why a jump of such a clock cannot be tried here; null: it can. */
export const vdsoMissing = process.arch === "x64" && process.platform === "linux" ? null : "x86-64 Linux only";

const MAGIC = Buffer.from("mrlb-jmp");
/** Behind each: what is added to the seconds of the wall clock. */
const tail = Buffer.concat([MAGIC, Buffer.alloc(8)]);
const TAIL_AT = 24;
const code = (...bytes: number[]): Buffer =>
  Buffer.concat([Buffer.from(bytes), Buffer.alloc(TAIL_AT - bytes.length, 0x90), tail]);

/** As system calls. */
const FUNCTIONS: readonly [name: string, code: Buffer][] = [
  [
    "__vdso_clock_gettime",
    code(
      ...[0xb8, 0xe4, 0x00, 0x00, 0x00], // mov eax, 228
      ...[0x0f, 0x05], // syscall
      ...[0x85, 0xff], // test edi, edi: CLOCK_REALTIME is 0
      ...[0x75, 0x0a], // jnz to ret
      ...[0x48, 0x8b, 0x0d, 0x0e, 0x00, 0x00, 0x00], // mov rcx, [rip + 14]
      ...[0x48, 0x01, 0x0e], // add [rsi], rcx
      0xc3, // ret
    ),
  ],
  [
    "__vdso_gettimeofday",
    code(
      ...[0xb8, 0x60, 0x00, 0x00, 0x00], // mov eax, 96
      ...[0x0f, 0x05], // syscall
      ...[0x48, 0x85, 0xff], // test rdi, rdi
      ...[0x74, 0x0a], // jz to ret
      ...[0x48, 0x8b, 0x0d, 0x0d, 0x00, 0x00, 0x00], // mov rcx, [rip + 13]
      ...[0x48, 0x01, 0x0f], // add [rdi], rcx
      0xc3, // ret
    ),
  ],
];

interface Range {
  from: number;
  to: number;
}

function vdsoOf(pid: number): Range {
  const m = /^([0-9a-f]+)-([0-9a-f]+) .*\[vdso\]$/m.exec(readFileSync(`/proc/${pid}/maps`, "utf8"));
  if (!m) throw new Error(`process ${pid} has no vDSO`);
  return { from: Number.parseInt(m[1] as string, 16), to: Number.parseInt(m[2] as string, 16) };
}

/** Where a function stands in the image of a shared object, by its dynamic symbols. */
function functionAt(image: Buffer, name: string): { offset: number; size: number } {
  const sections = Number(image.readBigUInt64LE(0x28));
  const [size, count] = [image.readUInt16LE(0x3a), image.readUInt16LE(0x3c)];
  const SHT_DYNSYM = 11;
  for (let i = 0; i < count; i++) {
    const at = sections + i * size;
    if (image.readUInt32LE(at + 4) !== SHT_DYNSYM) continue;
    const table = Number(image.readBigUInt64LE(at + 24));
    const end = table + Number(image.readBigUInt64LE(at + 32));
    const strings = Number(image.readBigUInt64LE(sections + image.readUInt32LE(at + 40) * size + 24));
    for (let s = table; s < end; s += 24) {
      const from = strings + image.readUInt32LE(s);
      if (image.toString("latin1", from, image.indexOf(0, from)) !== name) continue;
      return { offset: Number(image.readBigUInt64LE(s + 8)), size: Number(image.readBigUInt64LE(s + 16)) };
    }
  }
  throw new Error(`no ${name} in the vDSO`);
}

/** Whether a stopped process has a thread with its program counter in the range. */
function inside(pid: number, { from, to }: Range): boolean {
  return readdirSync(`/proc/${pid}/task`).some((tid) => {
    const words = readFileSync(`/proc/${pid}/task/${tid}/syscall`, "utf8").trim().split(" ");
    const pc = Number(words.at(-1));
    return words[0] === "running" || (pc >= from && pc < to);
  });
}

/** The process's wall clock is `seconds` off from now on. */
export async function jumpVdso(pid: number, seconds: number): Promise<void> {
  const range = vdsoOf(pid);
  const memory = openSync(`/proc/${pid}/mem`, "r+");
  try {
    const image = Buffer.alloc(range.to - range.from);
    readSync(memory, image, 0, image.length, range.from);
    const value = Buffer.alloc(8);
    value.writeBigInt64LE(BigInt(seconds));
    const write = (bytes: Buffer, at: number): void => void writeSync(memory, bytes, 0, bytes.length, range.from + at);
    if (image.includes(MAGIC)) {
      for (let at = image.indexOf(MAGIC); at >= 0; at = image.indexOf(MAGIC, at + 1)) write(value, at + MAGIC.length);
      return;
    }
    const writes = FUNCTIONS.map(([name, code]): [Buffer, number] => {
      const { offset, size } = functionAt(image, name);
      if (size < code.length) throw new Error(`${name} has ${size} bytes, ${code.length} are needed`);
      return [Buffer.concat([code.subarray(0, TAIL_AT + MAGIC.length), value]), offset];
    });
    for (let free = false; !free; ) {
      process.kill(pid, "SIGSTOP");
      try {
        await sleep(5);
        free = !inside(pid, range);
        if (free) for (const [bytes, at] of writes) write(bytes, at);
      } finally {
        process.kill(pid, "SIGCONT");
      }
    }
  } finally {
    closeSync(memory);
  }
}
