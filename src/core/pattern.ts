import { type Assertion, type CharacterSet, type ParsedPattern, parsePatternText } from './pattern-parser.ts';
import {
  ASSERT,
  compilePattern,
  type Instruction,
  JUMP,
  MATCH,
  MAX_SIZE,
  SAVE,
  SET,
  SPLIT,
} from './pattern-program.ts';

/** Where a pattern matched, and its groups: `[0]` is the whole match. A group that took no part is null. */
export interface PatternMatch {
  readonly start: number;
  readonly end: number;
  readonly groups: readonly (string | null)[];
}

/** What one match may cost, in instructions that are reached; each takes 20 to 50 ns once V8 has compiled what takes them. */
const MAX_STEPS = 100_000;
/**
 * The same in time, ms, looked at after each so many steps: until then a step takes ten times as long, and no text makes a match
 * take 10 ms. What takes fewer steps is never judged by time, nor is a match that others held up: it must also have taken so
 * much of this thread's own time, microseconds, which kernels tell in ticks of 4 ms.
 */
const MAX_MS = 4;
const MIN_CPU_US = 2_000;
const STEPS_A_LOOK = 2_048;
/** Keeping the ends of so many groups for one character costs as much as an instruction. */
const GROUPS_PER_STEP = 8;

/** The pattern; what is wrong with it, as a sentence's end ("has ..."), where it is none. */
export function parsePattern(source: string): Pattern | string {
  const parsed = parsePatternText(source);
  if (typeof parsed === 'string') return parsed;
  const program = compilePattern(parsed.node);
  return program === null ? `is too large: more than ${MAX_SIZE} steps; repeat less` : new Pattern(parsed, program);
}

/**
 * A regular expression of an operator that is matched with what strangers send: all alternatives at once, character by
 * character (Thompson's simulation), so that the time is bounded by the pattern's size times the text's length, whatever
 * they are. Finds what JavaScript's own finds, which takes exponential time for some.
 */
export class Pattern {
  /** Numbers of the named groups. */
  readonly names: ReadonlyMap<string, number>;
  /** How many groups capture. */
  readonly groups: number;
  readonly #program: readonly Instruction[];

  constructor({ groups, names }: ParsedPattern, program: readonly Instruction[]) {
    this.groups = groups;
    this.names = names;
    this.#program = program;
  }

  /** Whether the text matches; null where that would take too long to find out. */
  test(text: string): boolean | null {
    const simulation = new Simulation(this.#program, text, 0);
    const slots = simulation.run();
    return simulation.isExhausted ? null : slots !== null;
  }

  /** The match; `exhausted` where it would take too long to find it. */
  exec(text: string): PatternMatch | null | 'exhausted' {
    const simulation = new Simulation(this.#program, text, 2 * (this.groups + 1));
    const slots = simulation.run();
    if (simulation.isExhausted) return 'exhausted';
    if (slots === null) return null;
    const groups = Array.from({ length: this.groups + 1 }, (_, group) => {
      const [start = -1, end = -1] = [slots[2 * group], slots[2 * group + 1]];
      return start === -1 || end === -1 ? null : text.slice(start, end);
    });
    return { start: slots[0] ?? 0, end: slots[1] ?? 0, groups };
  }
}

/** Instructions that wait for the same character, in the order of preference, each with its slots. */
class Threads {
  readonly at: Int32Array;
  readonly slots: Int32Array;
  count = 0;

  constructor(size: number, slots: number) {
    this.at = new Int32Array(size);
    this.slots = new Int32Array(size * slots);
  }
}

/** One match of one text. */
class Simulation {
  readonly #program: readonly Instruction[];
  readonly #text: string;
  readonly #slotCount: number;
  /** At which character an instruction was reached last, plus one: once is enough, the first has the preference. */
  readonly #reached: Int32Array;
  readonly #work: Int32Array;
  #current: Threads;
  #next: Threads;
  #stepsLeft = MAX_STEPS;
  #nextLook = MAX_STEPS - STEPS_A_LOOK;
  /** Both clocks at the first look: most matches never come to one. */
  #began: { readonly ms: number; readonly cpu: NodeJS.CpuUsage } | null = null;

  constructor(program: readonly Instruction[], text: string, slotCount: number) {
    this.#program = program;
    this.#text = text;
    this.#slotCount = slotCount;
    this.#reached = new Int32Array(program.length);
    this.#work = new Int32Array(slotCount);
    this.#current = new Threads(program.length, slotCount);
    this.#next = new Threads(program.length, slotCount);
  }

  /** True when `run` gave up. */
  get isExhausted(): boolean {
    return this.#stepsLeft < 0;
  }

  /** The slots of the match that JavaScript would find; null without any. */
  run(): Int32Array | null {
    let found: Int32Array | null = null;
    const stepsOfThread = this.#slotCount / 2 / GROUPS_PER_STEP;
    for (let i = 0; i <= this.#text.length; i += 1) {
      if (found === null) {
        this.#work.fill(-1);
        this.#reach(this.#current, 0, i);
      }
      if (this.#current.count === 0 && (found !== null || this.#isAnchored)) break;
      this.#stepsLeft -= 1 + this.#current.count * stepsOfThread;
      if (this.#stepsLeft < this.#nextLook) this.#giveUpLate();
      if (this.isExhausted) return null;
      found = this.#step(i) ?? found;
      [this.#current, this.#next] = [this.#next, this.#current];
      this.#next.count = 0;
    }
    return found;
  }

  #giveUpLate(): void {
    this.#nextLook = this.#stepsLeft - STEPS_A_LOOK;
    this.#began ??= { ms: performance.now(), cpu: process.threadCpuUsage() };
    if (performance.now() - this.#began.ms < MAX_MS) return;
    const { user, system } = process.threadCpuUsage(this.#began.cpu);
    if (user + system >= MIN_CPU_US) this.#stepsLeft = -1;
  }

  /** The first instruction after the slot of the whole match. */
  get #isAnchored(): boolean {
    const first = this.#program[1];
    return first?.op === ASSERT && first.kind === 'start';
  }

  /** Takes character `i`; gives the slots of a match that ends in front of it, less preferred ones are dropped. */
  #step(i: number): Int32Array | null {
    const { at, slots, count } = this.#current;
    const code = i < this.#text.length ? this.#text.charCodeAt(i) : -1;
    for (let thread = 0; thread < count; thread += 1) {
      const index = at[thread] ?? 0;
      const instruction = this.#program[index] as Instruction;
      const from = thread * this.#slotCount;
      if (instruction.op === MATCH) return slots.slice(from, from + this.#slotCount);
      if (instruction.op !== SET || !holds(instruction.set, code)) continue;
      for (let slot = 0; slot < this.#slotCount; slot += 1) this.#work[slot] = slots[from + slot] ?? -1;
      this.#reach(this.#next, index + 1, i + 1);
    }
    return null;
  }

  /** Follows what takes no character, in the order of preference, and adds what waits for one (or has matched). */
  #reach(threads: Threads, index: number, i: number): void {
    if (this.#reached[index] === i + 1) return;
    this.#reached[index] = i + 1;
    this.#stepsLeft -= 1;
    const instruction = this.#program[index] as Instruction;
    switch (instruction.op) {
      case SPLIT:
        this.#reach(threads, instruction.first, i);
        this.#reach(threads, instruction.second, i);
        return;
      case JUMP:
        this.#reach(threads, instruction.to, i);
        return;
      case ASSERT:
        if (this.#asserts(instruction.kind, i)) this.#reach(threads, index + 1, i);
        return;
      case SAVE: {
        const { slot } = instruction;
        const before = this.#work[slot] ?? -1;
        if (slot < this.#slotCount) this.#work[slot] = i;
        this.#reach(threads, index + 1, i);
        if (slot < this.#slotCount) this.#work[slot] = before;
        return;
      }
      default:
        threads.at[threads.count] = index;
        threads.slots.set(this.#work, threads.count * this.#slotCount);
        threads.count += 1;
    }
  }

  #asserts(kind: Assertion, i: number): boolean {
    if (kind === 'start') return i === 0;
    if (kind === 'end') return i === this.#text.length;
    const isBoundary = isWord(this.#text.charCodeAt(i - 1)) !== isWord(this.#text.charCodeAt(i));
    return isBoundary === (kind === 'boundary');
  }
}

function holds({ words, other }: CharacterSet, code: number): boolean {
  if (code >= 0x80) return other;
  return code >= 0 && ((words[code >> 5] ?? 0) & (1 << (code & 31))) !== 0;
}

function isWord(code: number): boolean {
  return (
    (code >= 0x30 && code <= 0x39) || (code >= 0x41 && code <= 0x5a) || code === 0x5f || (code >= 0x61 && code <= 0x7a)
  );
}
