/**
 * Patterns as users write them, as a tree: ECMAScript regular expressions (flag u) without lookaround and back-references.
 *
 * Pure. What V8 itself does not take as a pattern is refused with its own words, so a pattern means the same here and in every
 * ECMAScript tool. Modifiers are read: `(?i:password)`. Source: ECMA-262, "Patterns". May import: pattern.
 */
import { caseless, complement, DIGITS, LINE_ENDS, normalized, propertySet, SPACE, WORD } from './code-points.ts';
import type { CodePoints, Range } from './code-points.ts';

/** Longest pattern, in UTF-16 units. */
export const PATTERN_CHARS_MAX = 1_024;
/** RE2's own bound of a counted repetition. */
export const REPEAT_MAX = 1_000;
/** Unicode properties of a list: each is a set of hundreds of ranges, and a user's text must not keep the webhook busy. */
const PROPERTIES_MAX = 8;

export type Assertion = 'begin' | 'end' | 'line_begin' | 'line_end' | 'word' | 'no_word';

export type Node =
  | { readonly kind: 'set'; readonly points: CodePoints }
  | { readonly kind: 'assert'; readonly what: Assertion }
  | { readonly kind: 'sequence'; readonly nodes: readonly Node[] }
  | { readonly kind: 'either'; readonly nodes: readonly Node[] }
  | {
      readonly kind: 'repeat';
      readonly node: Node;
      readonly least: number;
      readonly most: number;
      readonly lazy: boolean;
    };

export type Parsed =
  | { readonly ok: true; readonly node: Node }
  | { readonly ok: false; readonly expected: string; readonly hint?: string };

/**
 * Reads a pattern.
 *
 * @param properties the Unicode properties that the list of the pattern has used so far; grows
 */
export function parsePattern(text: string, properties: Set<string>): Parsed {
  if (text === '' || text.length > PATTERN_CHARS_MAX)
    return { ok: false, expected: `patterns of 1 to ${PATTERN_CHARS_MAX} characters` };
  try {
    RegExp(text, 'u');
  } catch {
    return {
      ok: false,
      expected: 'regular expressions (ECMAScript syntax)',
      hint: 'is a bracket or a backslash missing?',
    };
  }
  try {
    return { ok: true, node: new Parser(text, properties).read() };
  } catch (error) {
    if (error instanceof NotLinear) return { ok: false, expected: `patterns without ${error.message}` };
    throw error;
  }
}

/** What needs more than linear time or memory, in words. */
class NotLinear extends Error {}

interface Flags {
  readonly i: boolean;
  readonly m: boolean;
  readonly s: boolean;
}

const EMPTY: Node = { kind: 'sequence', nodes: [] };
const CONTROL: Readonly<Record<string, number>> = { t: 9, n: 10, v: 11, f: 12, r: 13, 0: 0 };

class Parser {
  readonly #units: readonly string[];
  readonly #properties: Set<string>;
  #at = 0;

  constructor(text: string, properties: Set<string>) {
    this.#units = Array.from(text);
    this.#properties = properties;
  }

  read(): Node {
    return this.#either({ i: false, m: false, s: false });
  }

  get #next(): string | undefined {
    return this.#units[this.#at];
  }

  #takes(text: string): boolean {
    if (!this.#looksAt(text)) return false;
    this.#at += text.length;
    return true;
  }

  #looksAt(text: string): boolean {
    for (let i = 0; i < text.length; i += 1) if (this.#units[this.#at + i] !== text[i]) return false;
    return true;
  }

  #either(flags: Flags): Node {
    const nodes = [this.#sequence(flags)];
    while (this.#takes('|')) nodes.push(this.#sequence(flags));
    return nodes.length === 1 ? (nodes[0] ?? EMPTY) : { kind: 'either', nodes };
  }

  #sequence(flags: Flags): Node {
    const nodes: Node[] = [];
    while (this.#next !== undefined && this.#next !== '|' && this.#next !== ')') {
      nodes.push(this.#repeated(this.#atom(flags)));
    }
    return { kind: 'sequence', nodes };
  }

  #repeated(node: Node): Node {
    const counts = this.#counts();
    if (counts === undefined) return node;
    const [least, most] = counts;
    if (least > REPEAT_MAX || (most > REPEAT_MAX && most !== Number.POSITIVE_INFINITY))
      throw new NotLinear(`counts above ${REPEAT_MAX}`);
    return { kind: 'repeat', node, least, most, lazy: this.#takes('?') };
  }

  #counts(): readonly [number, number] | undefined {
    if (this.#takes('*')) return [0, Number.POSITIVE_INFINITY];
    if (this.#takes('+')) return [1, Number.POSITIVE_INFINITY];
    if (this.#takes('?')) return [0, 1];
    if (!this.#takes('{')) return undefined;
    const least = this.#number();
    const hasComma = this.#takes(',');
    const most = hasComma ? (this.#next === '}' ? Number.POSITIVE_INFINITY : this.#number()) : least;
    this.#at += 1;
    return [least, most];
  }

  #number(): number {
    let digits = '';
    while (/^\d$/.test(this.#next ?? '')) digits += this.#units[this.#at++] ?? '';
    return Number(digits);
  }

  #atom(flags: Flags): Node {
    if (this.#takes('(')) return this.#group(flags);
    if (this.#takes('[')) return set(this.#class(flags), flags);
    if (this.#takes('.')) return { kind: 'set', points: complement(flags.s ? [] : LINE_ENDS) };
    if (this.#takes('^')) return { kind: 'assert', what: flags.m ? 'line_begin' : 'begin' };
    if (this.#takes('$')) return { kind: 'assert', what: flags.m ? 'line_end' : 'end' };
    if (this.#takes('\\b')) return { kind: 'assert', what: 'word' };
    if (this.#takes('\\B')) return { kind: 'assert', what: 'no_word' };
    if (this.#takes('\\')) return set(this.#escape(flags), flags);
    const code = this.#next?.codePointAt(0) ?? 0;
    this.#at += 1;
    return set([[code, code]], flags);
  }

  #group(flags: Flags): Node {
    let inner = flags;
    if (this.#looksAt('?=') || this.#looksAt('?!') || this.#looksAt('?<=') || this.#looksAt('?<!'))
      throw new NotLinear('lookahead and lookbehind');
    if (this.#takes('?<')) while (this.#units[this.#at++] !== '>');
    else if (this.#takes('?')) inner = this.#modifiers(flags);
    const node = this.#either(inner);
    this.#at += 1;
    return node;
  }

  /** `i-s:` and the like, up to its colon. */
  #modifiers(flags: Flags): Flags {
    const changed = { ...flags };
    let value = true;
    for (let unit = this.#units[this.#at++]; unit !== ':'; unit = this.#units[this.#at++]) {
      if (unit === '-') value = false;
      else if (unit === 'i' || unit === 'm' || unit === 's') changed[unit] = value;
    }
    return changed;
  }

  #class(flags: Flags): CodePoints {
    const isNegated = this.#takes('^');
    const ranges: Range[] = [];
    while (!this.#takes(']')) {
      const from = this.#classAtom(flags);
      const isRange = this.#next === '-' && this.#units[this.#at + 1] !== ']';
      if (!isRange) {
        ranges.push(...from);
        continue;
      }
      this.#at += 1;
      const to = this.#classAtom(flags);
      ranges.push([from[0]?.[0] ?? 0, to[0]?.[0] ?? 0]);
    }
    const points = normalized(ranges);
    // Case is let go of before the complement is made, as ECMA-262 (CharacterClass, CharacterComplement) has it.
    return isNegated ? complement(flags.i ? caseless(points) : points) : points;
  }

  #classAtom(flags: Flags): CodePoints {
    if (this.#takes('\\b')) return [[8, 8]];
    if (this.#takes('\\')) return this.#escape(flags);
    const code = this.#next?.codePointAt(0) ?? 0;
    this.#at += 1;
    return [[code, code]];
  }

  /** What stands behind a backslash. */
  #escape(flags: Flags): CodePoints {
    const unit = this.#units[this.#at++] ?? '';
    if (/^[1-9k]$/.test(unit)) throw new NotLinear('back-references');
    const named = classEscape(unit, flags);
    if (named !== undefined) return named;
    if (unit === 'p' || unit === 'P') {
      const close = this.#units.indexOf('}', this.#at);
      const name = this.#units.slice(this.#at + 1, close).join('');
      this.#at = close + 1;
      if (this.#properties.add(name).size > PROPERTIES_MAX)
        throw new NotLinear(`more than ${PROPERTIES_MAX} Unicode properties`);
      return propertySet(name, unit === 'P');
    }
    const code = this.#escapedCode(unit);
    return [[code, code]];
  }

  #escapedCode(unit: string): number {
    if (unit === 'x') return this.#hex(2);
    if (unit === 'c') return (this.#units[this.#at++]?.codePointAt(0) ?? 0) % 32;
    if (unit === 'u') return this.#unicode();
    return CONTROL[unit] ?? unit.codePointAt(0) ?? 0;
  }

  #unicode(): number {
    if (this.#takes('{')) {
      const close = this.#units.indexOf('}', this.#at);
      const code = Number.parseInt(this.#units.slice(this.#at, close).join(''), 16);
      this.#at = close + 1;
      return code;
    }
    const high = this.#hex(4);
    if (high < 0xd800 || high > 0xdbff || !this.#looksAt('\\u')) return high;
    const before = this.#at;
    this.#at += 2;
    const low = this.#hex(4);
    if (low >= 0xdc00 && low <= 0xdfff) return 0x10000 + (high - 0xd800) * 0x400 + low - 0xdc00;
    this.#at = before;
    return high;
  }

  #hex(count: number): number {
    const text = this.#units.slice(this.#at, this.#at + count).join('');
    this.#at += count;
    return Number.parseInt(text, 16);
  }
}

function classEscape(unit: string, flags: Flags): CodePoints | undefined {
  const word = flags.i ? caseless(WORD) : WORD;
  const sets: Readonly<Record<string, CodePoints>> = { d: DIGITS, w: word, s: SPACE };
  const set = Object.hasOwn(sets, unit.toLowerCase()) ? sets[unit.toLowerCase()] : undefined;
  return set === undefined || unit === unit.toLowerCase() ? set : complement(set);
}

function set(points: CodePoints, flags: Flags): Node {
  return { kind: 'set', points: flags.i ? caseless(points) : normalized(points) };
}
