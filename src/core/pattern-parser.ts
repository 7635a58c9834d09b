/** A parsed pattern. Sets hold ASCII characters as bits, four words of 32; `other`: characters beyond ASCII match, too. */
export type PatternNode =
  | { readonly type: 'set'; readonly set: CharacterSet }
  | { readonly type: 'sequence'; readonly nodes: readonly PatternNode[] }
  | { readonly type: 'choice'; readonly nodes: readonly PatternNode[] }
  | {
      readonly type: 'repeat';
      readonly node: PatternNode;
      readonly least: number;
      readonly most: number;
      readonly greedy: boolean;
    }
  | { readonly type: 'group'; readonly node: PatternNode; readonly index: number }
  | { readonly type: 'assert'; readonly kind: Assertion };

export type Assertion = 'start' | 'end' | 'boundary' | 'no-boundary';

/** What one character may be. */
export interface CharacterSet {
  readonly words: Int32Array;
  readonly other: boolean;
}

/** The parts of a pattern that its users need. */
export interface ParsedPattern {
  readonly node: PatternNode;
  /** How many groups capture. */
  readonly groups: number;
  /** Numbers of the named groups. */
  readonly names: ReadonlyMap<string, number>;
}

/** Longest pattern, characters. */
const MAX_LENGTH = 1_000;
const MAX_DEPTH = 50;
const MAX_REPEATS = 1_000;

const DIGITS = '0-9';
const WORD = '0-9A-Z_-_a-z';
/** All that JavaScript calls white space within ASCII. */
const BLANKS = '\t-\r - ';
const SHORTHANDS: ReadonlyMap<string, string> = new Map([
  ['d', DIGITS],
  ['w', WORD],
  ['s', BLANKS],
]);
const CONTROLS: ReadonlyMap<string, number> = new Map([
  ['t', 9],
  ['n', 10],
  ['v', 11],
  ['f', 12],
  ['r', 13],
  ['0', 0],
]);

/**
 * Reads a regular expression in the syntax of JavaScript (flag `u`), without what cannot be matched in linear time
 * (backreferences, lookaround) and without characters beyond ASCII: a path or a method has none. Gives what is wrong, as a
 * sentence's end ("has ..."), where it is none.
 */
export function parsePatternText(source: string): ParsedPattern | string {
  if (source.length > MAX_LENGTH) return `is longer than ${MAX_LENGTH} characters`;
  try {
    return new PatternParser(source).parse();
  } catch (error) {
    if (error instanceof PatternFault) return error.message;
    throw error;
  }
}

class PatternFault extends Error {}

class PatternParser {
  readonly #source: string;
  readonly #names = new Map<string, number>();
  #at = 0;
  #depth = 0;
  #groups = 0;

  constructor(source: string) {
    this.#source = source;
  }

  parse(): ParsedPattern {
    const node = this.#choice();
    if (this.#at < this.#source.length) this.#fail('has a ) that closes nothing');
    return { node, groups: this.#groups, names: this.#names };
  }

  #choice(): PatternNode {
    const nodes = [this.#sequence()];
    while (this.#take('|')) nodes.push(this.#sequence());
    return nodes.length === 1 ? (nodes[0] as PatternNode) : { type: 'choice', nodes };
  }

  #sequence(): PatternNode {
    const nodes: PatternNode[] = [];
    while (this.#at < this.#source.length && !'|)'.includes(this.#peek())) nodes.push(this.#repeated());
    return nodes.length === 1 ? (nodes[0] as PatternNode) : { type: 'sequence', nodes };
  }

  #repeated(): PatternNode {
    const node = this.#atom();
    const bounds = this.#bounds();
    if (bounds === null) return node;
    if (node.type === 'assert') this.#fail('repeats what matches no character');
    const [least, most] = bounds;
    const greedy = !this.#take('?');
    if ('*+?{'.includes(this.#peek()) && this.#peek() !== '') this.#fail('repeats a repetition; use a group (?:...)');
    return { type: 'repeat', node, least, most, greedy };
  }

  #bounds(): readonly [number, number] | null {
    if (this.#take('*')) return [0, Number.POSITIVE_INFINITY];
    if (this.#take('+')) return [1, Number.POSITIVE_INFINITY];
    if (this.#take('?')) return [0, 1];
    if (this.#peek() !== '{') return null;
    const match = /^\{(\d{1,4})(?:(,)(\d{1,4})?)?\}/.exec(this.#source.slice(this.#at));
    if (match === null) return this.#fail('has a { that is no repetition; \\{ is the character');
    this.#at += match[0].length;
    const least = Number(match[1]);
    const most = match[2] === undefined ? least : Number(match[3] ?? Number.POSITIVE_INFINITY);
    if (most < least) this.#fail('has a repetition whose bounds are in the wrong order');
    if (least > MAX_REPEATS || (most !== Number.POSITIVE_INFINITY && most > MAX_REPEATS)) {
      this.#fail(`repeats more than ${MAX_REPEATS} times`);
    }
    return [least, most];
  }

  #atom(): PatternNode {
    const character = this.#next();
    switch (character) {
      case '^':
        return { type: 'assert', kind: 'start' };
      case '$':
        return { type: 'assert', kind: 'end' };
      case '(':
        return this.#group();
      case '[':
        return { type: 'set', set: this.#class() };
      case '.':
        return { type: 'set', set: inverse(setOf('\n\r')) };
      case '\\':
        return this.#escape();
      case '*':
      case '+':
      case '?':
      case '{':
        return this.#fail(`repeats nothing with ${character}; \\${character} is the character`);
      case ']':
      case '}':
        return this.#fail(`has a ${character} that closes nothing; \\${character} is the character`);
      default:
        return { type: 'set', set: setOf(this.#ascii(character)) };
    }
  }

  #group(): PatternNode {
    this.#depth += 1;
    if (this.#depth > MAX_DEPTH) this.#fail(`nests groups more than ${MAX_DEPTH} deep`);
    const index = this.#groupStart();
    const node = this.#choice();
    if (!this.#take(')')) this.#fail('has a ( without its )');
    this.#depth -= 1;
    return index === 0 ? node : { type: 'group', node, index };
  }

  /** The number of the group that begins; 0: it does not capture. */
  #groupStart(): number {
    if (!this.#take('?')) {
      this.#groups += 1;
      return this.#groups;
    }
    if (this.#take(':')) return 0;
    const name = /^<([A-Za-z_]\w{0,30})>/.exec(this.#source.slice(this.#at));
    if (name === null)
      return this.#fail('has a group of a kind that is not supported: (...), (?:...) and (?<name>...) are');
    this.#at += name[0].length;
    this.#groups += 1;
    if (this.#names.has(name[1] ?? '')) this.#fail('has two groups of one name');
    this.#names.set(name[1] ?? '', this.#groups);
    return this.#groups;
  }

  #escape(): PatternNode {
    if (this.#take('b')) return { type: 'assert', kind: 'boundary' };
    if (this.#take('B')) return { type: 'assert', kind: 'no-boundary' };
    return { type: 'set', set: this.#shorthand() ?? setOf(this.#escaped()) };
  }

  /** `\d` and the like; null where something else follows the backslash. */
  #shorthand(): CharacterSet | null {
    const letter = this.#peek();
    const ranges = SHORTHANDS.get(letter.toLowerCase());
    if (ranges === undefined) return null;
    this.#at += 1;
    const set = new CharacterSetBuilder();
    for (let i = 0; i < ranges.length; i += 3) set.add(ranges.charCodeAt(i), ranges.charCodeAt(i + 2));
    return letter === letter.toLowerCase() ? set.done() : inverse(set.done());
  }

  #escaped(): string {
    const character = this.#next();
    const control = CONTROLS.get(character);
    if (control !== undefined && !(control === 0 && /\d/.test(this.#peek()))) return String.fromCharCode(control);
    if (/\d/.test(character) || character === 'k') this.#fail('has a backreference, which is not supported');
    const code = character === 'x' ? /^[\da-fA-F]{2}/ : character === 'u' ? /^[\da-fA-F]{4}/ : null;
    if (code === null) {
      if (/[A-Za-z_]/.test(character)) this.#fail(`has the unknown escape \\${character}`);
      return this.#ascii(character);
    }
    const digits = code.exec(this.#source.slice(this.#at))?.[0] ?? this.#fail(`has an incomplete \\${character}`);
    this.#at += digits.length;
    return this.#ascii(String.fromCharCode(Number.parseInt(digits, 16)));
  }

  #class(): CharacterSet {
    const negated = this.#take('^');
    const set = new CharacterSetBuilder();
    while (!this.#take(']')) {
      const first = this.#classItem();
      if (typeof first !== 'string') {
        set.addAll(first);
        if (this.#peek() === '-' && this.#source[this.#at + 1] !== ']')
          this.#fail('has a range that begins with a class');
        continue;
      }
      const isRange = this.#peek() === '-' && this.#source[this.#at + 1] !== ']';
      if (isRange) this.#at += 1;
      const last = isRange ? this.#classItem() : first;
      if (typeof last !== 'string') return this.#fail('has a range that ends with a class');
      if (last < first) this.#fail('has a range whose ends are in the wrong order');
      set.add(first.charCodeAt(0), last.charCodeAt(0));
    }
    return negated ? inverse(set.done()) : set.done();
  }

  #classItem(): string | CharacterSet {
    const character = this.#next('a [ without its ]');
    if (character !== '\\') return this.#ascii(character);
    const shorthand = this.#shorthand();
    if (shorthand !== null) return shorthand;
    return this.#take('b') ? '\b' : this.#escaped();
  }

  #ascii(character: string): string {
    if (character.charCodeAt(0) < 0x80) return character;
    return this.#fail('has a character beyond ASCII; in a path such bytes are written %XX');
  }

  #peek(): string {
    return this.#source[this.#at] ?? '';
  }

  #next(missing = 'a backslash at its end'): string {
    const character = this.#source[this.#at];
    if (character === undefined) return this.#fail(`has ${missing}`);
    this.#at += 1;
    return character;
  }

  #take(character: string): boolean {
    if (this.#source[this.#at] !== character) return false;
    this.#at += 1;
    return true;
  }

  #fail(message: string): never {
    throw new PatternFault(message);
  }
}

class CharacterSetBuilder {
  readonly #words = new Int32Array(4);
  #other = false;

  add(first: number, last: number): void {
    for (let code = first; code <= last; code += 1)
      this.#words[code >> 5] = (this.#words[code >> 5] ?? 0) | (1 << (code & 31));
  }

  addAll({ words, other }: CharacterSet): void {
    for (const [index, word] of words.entries()) this.#words[index] = (this.#words[index] ?? 0) | word;
    this.#other ||= other;
  }

  done(): CharacterSet {
    return { words: this.#words, other: this.#other };
  }
}

function setOf(characters: string): CharacterSet {
  const set = new CharacterSetBuilder();
  for (let i = 0; i < characters.length; i += 1) set.add(characters.charCodeAt(i), characters.charCodeAt(i));
  return set.done();
}

function inverse({ words, other }: CharacterSet): CharacterSet {
  return { words: words.map((word) => ~word), other: !other };
}
