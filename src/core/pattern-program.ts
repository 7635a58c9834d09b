import type { Assertion, CharacterSet, PatternNode } from './pattern-parser.ts';

/** Most instructions of a program: repetitions count each on their own. */
export const MAX_SIZE = 300;

export const SET = 0;
export const SPLIT = 1;
export const SAVE = 2;
export const ASSERT = 3;
export const JUMP = 4;
export const MATCH = 5;

/** One step of a program. `set` takes a character, `match` ends, all others go on without one. */
export type Instruction =
  | { op: typeof SET; set: CharacterSet }
  | { op: typeof SPLIT; first: number; second: number }
  | { op: typeof SAVE; slot: number }
  | { op: typeof ASSERT; kind: Assertion }
  | { op: typeof JUMP; to: number }
  | { op: typeof MATCH };

/** The program of a pattern; null where it is too large: more than {@link MAX_SIZE} steps. */
export function compilePattern(node: PatternNode): readonly Instruction[] | null {
  return new Compiler().compile(node);
}

class Compiler {
  readonly #program: Instruction[] = [];
  #tooLarge = false;

  compile(node: PatternNode): readonly Instruction[] | null {
    this.#emit({ op: SAVE, slot: 0 });
    this.#add(node);
    this.#emit({ op: SAVE, slot: 1 });
    this.#emit({ op: MATCH });
    return this.#tooLarge ? null : this.#program;
  }

  #emit<T extends Instruction>(instruction: T): T {
    if (this.#program.length >= MAX_SIZE) this.#tooLarge = true;
    else this.#program.push(instruction);
    return instruction;
  }

  get #here(): number {
    return this.#program.length;
  }

  #add(node: PatternNode): void {
    if (this.#tooLarge) return;
    switch (node.type) {
      case 'set':
        this.#emit({ op: SET, set: node.set });
        break;
      case 'assert':
        this.#emit({ op: ASSERT, kind: node.kind });
        break;
      case 'sequence':
        for (const part of node.nodes) this.#add(part);
        break;
      case 'group':
        this.#emit({ op: SAVE, slot: 2 * node.index });
        this.#add(node.node);
        this.#emit({ op: SAVE, slot: 2 * node.index + 1 });
        break;
      case 'choice':
        this.#choice(node.nodes);
        break;
      case 'repeat':
        for (let i = 0; i < node.least && !this.#tooLarge; i += 1) this.#add(node.node);
        if (node.most === Number.POSITIVE_INFINITY) this.#loop(node.node, node.greedy);
        else this.#optional(node.node, node.most - node.least, node.greedy);
    }
  }

  #choice(nodes: readonly PatternNode[]): void {
    const ends: { op: typeof JUMP; to: number }[] = [];
    for (const [index, node] of nodes.entries()) {
      if (index === nodes.length - 1) {
        this.#add(node);
        break;
      }
      const split = this.#emit({ op: SPLIT, first: this.#here + 1, second: 0 });
      this.#add(node);
      ends.push(this.#emit({ op: JUMP, to: 0 }));
      split.second = this.#here;
    }
    for (const end of ends) end.to = this.#here;
  }

  #loop(node: PatternNode, greedy: boolean): void {
    const start = this.#here;
    const split = this.#emit({ op: SPLIT, first: 0, second: 0 });
    const body = this.#here;
    this.#add(node);
    this.#emit({ op: JUMP, to: start });
    this.#branch(split, body, greedy);
  }

  #optional(node: PatternNode, times: number, greedy: boolean): void {
    const splits: { split: { op: typeof SPLIT; first: number; second: number }; body: number }[] = [];
    for (let i = 0; i < times && !this.#tooLarge; i += 1) {
      const split = this.#emit({ op: SPLIT, first: 0, second: 0 });
      splits.push({ split, body: this.#here });
      this.#add(node);
    }
    for (const { split, body } of splits) this.#branch(split, body, greedy);
  }

  /** To the body or past it, whichever is to be tried first. */
  #branch(split: { first: number; second: number }, body: number, greedy: boolean): void {
    split.first = greedy ? body : this.#here;
    split.second = greedy ? this.#here : body;
  }
}
