/** Pseudonyms and tokens of one purpose, as the parts of a message ask for them. */

import type { PrivacyKeys } from './keys.ts';
import { Pseudonyms, type TypedValue } from './pseudonyms.ts';
import type { FieldAction } from './selectors.ts';
import { Tokens } from './tokens.ts';

export class Disguise {
  readonly #pseudonyms: Pseudonyms;
  readonly #tokens: Tokens;

  constructor(keys: PrivacyKeys, purpose: string) {
    this.#pseudonyms = new Pseudonyms(keys, purpose);
    this.#tokens = new Tokens(keys, purpose);
  }

  pseudonym(value: TypedValue): string {
    return this.#pseudonyms.of(value);
  }

  token(value: TypedValue): string {
    return this.#tokens.of(value);
  }

  /** A text from a query, header or path: a string, so it is disguised like the same string in a payload. */
  text(text: string, action: FieldAction): string {
    if (action === 'keep') return text;
    return action === 'tokenise' ? this.#tokens.of(`s${text}`) : this.#pseudonyms.of(`s${text}`);
  }

  /** The value behind a token; see Tokens.open. */
  open(text: string): TypedValue | undefined {
    return this.#tokens.open(text);
  }
}
