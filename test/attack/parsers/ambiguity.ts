/**
 * Proof that a regular expression is linear in a backtracking matcher, by the ambiguity of its automaton (Weideman et al.,
 * "Analyzing matching time behavior of backtracking regular expression matchers by using ambiguity of NFA", 2016): it is
 * exponential only if some state comes back to itself on one text in two ways, and polynomial only if a text leads from one
 * loop to another and keeps both. An expression that is not tied to the beginning is tried from everywhere: that is a loop in
 * front. Only what can still fail is tried again; a loop from which everything is accepted does no harm. Bounded repetitions
 * of more than a few are taken for unbounded ones, so that the answer errs towards no.
 */
import { type Node, patternOf } from './pattern.ts';

/** Characters that stand for all: those of ASCII, and one of each other kind that the sources speak of. */
const SAMPLE = [
  ...Array.from({ length: 128 }, (_, code) => String.fromCharCode(code)),
  ...[
    '\u0080',
    '\u009b',
    '\u00a0',
    '\u00ad',
    '\u00b0',
    '\u00e9',
    '\u00ff',
    '\u0301',
    '\u0661',
    '\u200b',
    '\u200e',
    '\u2026',
  ],
  ...[
    '\u2028',
    '\u2029',
    '\u202e',
    '\u2066',
    '\u3000',
    '\u4e00',
    '\ud800',
    '\udc00',
    '\ufeff',
    '\u{1f600}',
    '\u{e0041}',
  ],
];
/** Copies that a bounded repetition is written out to. */
const MAX_COPIES = 4;

/** Why the expression may take more than linear time; undefined: it cannot. */
export function ambiguity(source: string, flags: string): string | undefined {
  const node = patternOf(source);
  const tied = flags.includes('y') || (isTied(node) && !flags.includes('m'));
  return examine(node, flags, tied);
}

function examine(node: Node, flags: string, tied: boolean): string | undefined {
  for (const { part, repeated } of looksIn(node, false)) {
    if ((repeated || !tied) && isUnbounded(part)) return 'looks ahead without bound, from many places';
    const found = examine(part, flags, true);
    if (found !== undefined) return found;
  }
  const automaton = new Automaton(flags);
  const whole = automaton.add(node);
  if (!tied) automaton.startAnywhere(whole);
  return automaton.exponential() ?? automaton.polynomial();
}

function isTied(node: Node): boolean {
  if (node.kind === 'place') return node.source === '^';
  if (node.kind === 'sequence') return node.parts[0] !== undefined && isTied(node.parts[0]);
  return node.kind === 'choice' && node.parts.every(isTied);
}

function* looksIn(node: Node, repeated: boolean): Generator<{ part: Node; repeated: boolean }> {
  if (node.kind === 'look') yield { part: node.part, repeated };
  else if (node.kind === 'repeat') yield* looksIn(node.part, repeated || node.most > MAX_COPIES);
  else if (node.kind === 'sequence' || node.kind === 'choice')
    for (const part of node.parts) yield* looksIn(part, repeated);
}

function isUnbounded(node: Node): boolean {
  if (node.kind === 'repeat') return node.most === Number.POSITIVE_INFINITY || isUnbounded(node.part);
  if (node.kind === 'look') return isUnbounded(node.part);
  return (node.kind === 'sequence' || node.kind === 'choice') && node.parts.some(isUnbounded);
}

/** In how many ways; two stand for more. */
type Ways = ReadonlyMap<number, number>;

interface Fragment {
  /** Matches nothing. */
  readonly empty: boolean;
  /** Matches nothing and asks for no place. */
  readonly freelyEmpty: boolean;
  readonly first: Ways;
  readonly last: Ways;
  /** Positions behind which the end asks for nothing more. */
  readonly free: ReadonlySet<number>;
}

const NONE: Ways = new Map();

function sum(...all: readonly Ways[]): Ways {
  const ways = new Map<number, number>();
  for (const one of all)
    for (const [position, count] of one) ways.set(position, Math.min(2, (ways.get(position) ?? 0) + count));
  return ways;
}

/** Glushkov's automaton: one state per character of the expression; edges counted, for a matcher goes each of them. */
class Automaton {
  readonly #flags: string;
  readonly #sets: ReadonlySet<number>[] = [];
  readonly #edges: Map<number, number>[] = [];
  #free: ReadonlySet<number> = new Set();

  constructor(flags: string) {
    this.#flags = flags.replace(/[gy]/g, '');
  }

  add(node: Node): Fragment {
    const whole = this.#fragment(node);
    this.#free = whole.free;
    return whole;
  }

  startAnywhere({ first }: Fragment): void {
    const start = this.#state(new Set(SAMPLE.keys()));
    this.#connect(new Map([[start, 1]]), sum(first, new Map([[start, 1]])));
  }

  /** A state that comes back to itself in two ways on one text. */
  exponential(): string | undefined {
    for (let state = 0; state < this.#sets.length; state++) {
      // Pairs of states that two runs from here can be in after the same text, and whether they have been apart.
      const seen = new Set<string>();
      const waiting: [number, number, boolean][] = [[state, state, false]];
      for (let pair = waiting.pop(); pair; pair = waiting.pop()) {
        for (const [left, leftWays] of this.#edges[pair[0]] as Map<number, number>) {
          for (const right of (this.#edges[pair[1]] as Map<number, number>).keys()) {
            if (!this.#meet(left, right)) continue;
            const apart = pair[2] || left !== right || (pair[0] === pair[1] && leftWays > 1);
            if (left === state && right === state) {
              if (apart && !this.#free.has(state)) return 'a loop in two ways: exponential';
              continue;
            }
            const key = `${left} ${right} ${apart}`;
            if (seen.has(key)) continue;
            seen.add(key);
            waiting.push([left, right, apart]);
          }
        }
      }
    }
    return undefined;
  }

  /** Two loops on one text, one leading into the other. */
  polynomial(): string | undefined {
    const looping = this.#sets.map((_, state) => this.#reaches(state, state));
    for (let p = 0; p < this.#sets.length; p++) {
      for (let q = 0; q < this.#sets.length; q++) {
        if (p === q || !looping[p] || !looping[q] || this.#free.has(q) || !this.#reaches(p, q)) continue;
        if (this.#pumps(p, q)) return 'one loop behind another on the same text: polynomial';
      }
    }
    return undefined;
  }

  /** A text w with p -w-> p, p -w-> q and q -w-> q. */
  #pumps(p: number, q: number): boolean {
    const seen = new Set<number>();
    const size = this.#sets.length;
    const waiting: [number, number, number][] = [[p, p, q]];
    for (let three = waiting.pop(); three; three = waiting.pop()) {
      for (const a of (this.#edges[three[0]] as Map<number, number>).keys()) {
        for (const b of (this.#edges[three[1]] as Map<number, number>).keys()) {
          if (!this.#meet(a, b)) continue;
          for (const c of (this.#edges[three[2]] as Map<number, number>).keys()) {
            if (!this.#meet(a, b, c)) continue;
            if (a === p && b === q && c === q) return true;
            const key = (a * size + b) * size + c;
            if (seen.has(key)) continue;
            seen.add(key);
            waiting.push([a, b, c]);
          }
        }
      }
    }
    return false;
  }

  #reaches(from: number, to: number): boolean {
    const seen = new Set<number>();
    const waiting = [from];
    for (let state = waiting.pop(); state !== undefined; state = waiting.pop()) {
      for (const next of (this.#edges[state] as Map<number, number>).keys()) {
        if (next === to) return true;
        if (!seen.has(next)) waiting.push(next);
        seen.add(next);
      }
    }
    return false;
  }

  /** True if one character can lead into all of these states. */
  #meet(...states: readonly number[]): boolean {
    const [first, ...rest] = states.map((state) => this.#sets[state] as ReadonlySet<number>);
    for (const one of first as ReadonlySet<number>) if (rest.every((set) => set.has(one))) return true;
    return false;
  }

  #state(set: ReadonlySet<number>): number {
    this.#edges.push(new Map());
    return this.#sets.push(set) - 1;
  }

  #connect(from: Ways, to: Ways): void {
    for (const [state, ways] of from) {
      const edges = this.#edges[state] as Map<number, number>;
      for (const [next, more] of to) edges.set(next, Math.min(2, (edges.get(next) ?? 0) + ways * more));
    }
  }

  #fragment(node: Node): Fragment {
    switch (node.kind) {
      case 'set': {
        const test = new RegExp(`^${node.source}$`, this.#flags.replace('m', ''));
        const state = this.#state(new Set(SAMPLE.keys().filter((index) => test.test(SAMPLE[index] as string))));
        const ways = new Map([[state, 1]]);
        return { empty: false, freelyEmpty: false, first: ways, last: ways, free: new Set([state]) };
      }
      case 'place':
      case 'look':
        return { empty: true, freelyEmpty: false, first: NONE, last: NONE, free: new Set() };
      case 'sequence':
        return node.parts.map((part) => this.#fragment(part)).reduce((a, b) => this.#then(a, b), NOTHING);
      case 'choice': {
        const parts = node.parts.map((part) => this.#fragment(part));
        return {
          empty: parts.some(({ empty }) => empty),
          freelyEmpty: parts.some(({ freelyEmpty }) => freelyEmpty),
          first: sum(...parts.map(({ first }) => first)),
          last: sum(...parts.map(({ last }) => last)),
          free: new Set(parts.flatMap(({ free }) => [...free])),
        };
      }
      case 'repeat':
        return this.#repeat(node.part, node.least, node.most);
    }
  }

  #then(a: Fragment, b: Fragment): Fragment {
    this.#connect(a.last, b.first);
    return {
      empty: a.empty && b.empty,
      freelyEmpty: a.freelyEmpty && b.freelyEmpty,
      first: a.empty ? sum(a.first, b.first) : a.first,
      last: b.empty ? sum(a.last, b.last) : b.last,
      free: b.freelyEmpty ? new Set([...a.free, ...b.free]) : b.free,
    };
  }

  #repeat(part: Node, least: number, most: number): Fragment {
    let whole = NOTHING;
    for (let copy = 0; copy < Math.min(least, MAX_COPIES); copy++) whole = this.#then(whole, this.#fragment(part));
    if (most === least) return whole;
    if (most - least > MAX_COPIES || most === Number.POSITIVE_INFINITY) {
      const loop = this.#fragment(part);
      this.#connect(loop.last, loop.first);
      return this.#then(whole, { ...loop, empty: true, freelyEmpty: true });
    }
    // a{0,3} is (?:a(?:a(?:a)?)?)?
    let optional = NOTHING;
    for (let copy = 0; copy < most - least; copy++) {
      optional = { ...this.#then(this.#fragment(part), optional), empty: true, freelyEmpty: true };
    }
    return this.#then(whole, optional);
  }
}

const NOTHING: Fragment = { empty: true, freelyEmpty: true, first: NONE, last: NONE, free: new Set() };
