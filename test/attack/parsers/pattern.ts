/** A regular expression as a tree: what matters for how long a backtracking matcher can take, and nothing else. */

export type Node =
  /** One character of a set, as its source text; membership is asked of the engine itself. */
  | { readonly kind: 'set'; readonly source: string }
  | { readonly kind: 'sequence'; readonly parts: readonly Node[] }
  | { readonly kind: 'choice'; readonly parts: readonly Node[] }
  | { readonly kind: 'repeat'; readonly part: Node; readonly least: number; readonly most: number }
  /** `^`, `$`, `\b`: a condition on where one is. */
  | { readonly kind: 'place'; readonly source: string }
  | { readonly kind: 'look'; readonly part: Node };

export function patternOf(source: string): Node {
  const parser = new Parser(source);
  const node = parser.choice();
  if (!parser.atEnd) throw new Error(`not understood: ${source}`);
  return node;
}

class Parser {
  readonly #source: string;
  #at = 0;

  constructor(source: string) {
    this.#source = source;
  }

  get atEnd(): boolean {
    return this.#at === this.#source.length;
  }

  choice(): Node {
    const parts = [this.#sequence()];
    while (this.#take('|')) parts.push(this.#sequence());
    return parts.length === 1 ? (parts[0] as Node) : { kind: 'choice', parts };
  }

  #sequence(): Node {
    const parts: Node[] = [];
    while (!this.atEnd && !'|)'.includes(this.#source[this.#at] as string)) parts.push(this.#repeated(this.#atom()));
    return parts.length === 1 ? (parts[0] as Node) : { kind: 'sequence', parts };
  }

  #repeated(part: Node): Node {
    const match = /^(?:[*+?]|\{(\d+)(,(\d*))?\})\??/.exec(this.#source.slice(this.#at));
    if (match === null) return part;
    this.#at += match[0].length;
    const sign = match[0][0] as string;
    if (sign !== '{')
      return { kind: 'repeat', part, least: sign === '+' ? 1 : 0, most: sign === '?' ? 1 : Number.POSITIVE_INFINITY };
    const least = Number(match[1]);
    const most = match[2] === undefined ? least : match[3] === '' ? Number.POSITIVE_INFINITY : Number(match[3]);
    return { kind: 'repeat', part, least, most };
  }

  #atom(): Node {
    const start = this.#at;
    const sign = this.#source[this.#at++] as string;
    if (sign === '(') return this.#group();
    if (sign === '^' || sign === '$') return { kind: 'place', source: sign };
    if (sign === '[') {
      for (; this.#source[this.#at] !== ']'; this.#at += 1) if (this.#source[this.#at] === '\\') this.#at += 1;
      this.#at += 1;
    } else if (sign === '\\') {
      if (this.#take('b') || this.#take('B')) return { kind: 'place', source: '\\b' };
      const sequence = /^(?:[pP]\{[^}]*\}|u\{[^}]*\}|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|c[A-Za-z]|[^1-9k])/.exec(
        this.#source.slice(this.#at),
      );
      if (sequence === null) throw new Error(`a backreference: ${this.#source}`);
      this.#at += sequence[0].length;
    } else if ((sign.codePointAt(0) as number) >= 0xd800 && (sign.codePointAt(0) as number) < 0xdc00) this.#at += 1;
    return { kind: 'set', source: this.#source.slice(start, this.#at) };
  }

  #group(): Node {
    const opening = /^\?(?::|<?[=!]|<[A-Za-z_$][\w$]*>)/.exec(this.#source.slice(this.#at))?.[0] ?? '';
    this.#at += opening.length;
    const part = this.choice();
    if (!this.#take(')')) throw new Error(`not understood: ${this.#source}`);
    return /[=!]$/.test(opening) ? { kind: 'look', part } : part;
  }

  #take(sign: string): boolean {
    if (this.#source[this.#at] !== sign) return false;
    this.#at += 1;
    return true;
  }
}
