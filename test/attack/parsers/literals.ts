/** The regular expression literals of a TypeScript source: a scanner that knows comments, texts and templates. */

export interface Literal {
  readonly source: string;
  readonly flags: string;
  /** Counted from 1. */
  readonly line: number;
}

/** Behind these words and signs a slash begins a literal; behind anything else it divides. */
const WORDS: ReadonlySet<string> = new Set([
  'return',
  'typeof',
  'case',
  'in',
  'of',
  'do',
  'else',
  'void',
  'delete',
  'await',
  'yield',
  'new',
  'throw',
  'default',
]);
const SIGNS = '(,=:[!&|?{};+-*%~^<>';

export function literalsIn(text: string): Literal[] {
  return new Scanner(text).scan();
}

class Scanner {
  readonly #text: string;
  readonly #literals: Literal[] = [];
  #at = 0;
  /** The last word or sign that was no space and no comment. */
  #before = '(';

  constructor(text: string) {
    // The line that names the interpreter is none of the language.
    this.#text = text.replace(/^#!.*/, '');
  }

  scan(): Literal[] {
    this.#code(false);
    return this.#literals;
  }

  /** Code up to its end, or up to the brace that ends a substitution in a template. */
  #code(inTemplate: boolean): void {
    const text = this.#text;
    let open = 0;
    while (this.#at < text.length) {
      const sign = text[this.#at] as string;
      const next = text[this.#at + 1];
      if (sign === '/' && (next === '/' || next === '*')) this.#comment(next);
      else if (sign === "'" || sign === '"') this.#string(sign);
      else if (sign === '`') this.#template();
      else if (sign === '/' && this.#beginsLiteral()) this.#literal();
      else if (/[\w$#]/.test(sign)) this.#word();
      else {
        if (sign === '{') open += 1;
        if (sign === '}' && inTemplate && open-- === 0) return;
        if (!/\s/.test(sign)) this.#before = sign;
        this.#at += 1;
      }
    }
  }

  #beginsLiteral(): boolean {
    return WORDS.has(this.#before) || (this.#before.length === 1 && SIGNS.includes(this.#before));
  }

  #comment(kind: string): void {
    const end = kind === '/' ? this.#text.indexOf('\n', this.#at) : this.#text.indexOf('*/', this.#at + 2) + 2;
    this.#at = end < 2 ? this.#text.length : end;
  }

  #string(quote: string): void {
    this.#at += 1;
    while (this.#text[this.#at] !== quote) this.#at += this.#text[this.#at] === '\\' ? 2 : 1;
    this.#at += 1;
    this.#before = 'text';
  }

  #template(): void {
    this.#at += 1;
    while (this.#text[this.#at] !== '`') {
      if (this.#text[this.#at] === '\\') this.#at += 2;
      else if (this.#text.startsWith('${', this.#at)) {
        this.#at += 2;
        this.#before = '(';
        this.#code(true);
        this.#at += 1;
      } else this.#at += 1;
    }
    this.#at += 1;
    this.#before = 'text';
  }

  #word(): void {
    const start = this.#at;
    while (/[\w$#]/.test(this.#text[this.#at] ?? '')) this.#at += 1;
    this.#before = this.#text.slice(start, this.#at);
  }

  #literal(): void {
    const start = this.#at;
    let inClass = false;
    for (this.#at += 1; inClass || this.#text[this.#at] !== '/'; this.#at += 1) {
      if (this.#text[this.#at] === '\\') this.#at += 1;
      else if (this.#text[this.#at] === '[') inClass = true;
      else if (this.#text[this.#at] === ']') inClass = false;
    }
    const source = this.#text.slice(start + 1, this.#at);
    const from = ++this.#at;
    while (/[a-z]/.test(this.#text[this.#at] ?? '')) this.#at += 1;
    const line = this.#text.slice(0, start).split('\n').length;
    this.#literals.push({ source, flags: this.#text.slice(from, this.#at), line });
    this.#before = 'text';
  }
}
