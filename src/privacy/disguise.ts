/**
 * Pseudonyms and tokens of one purpose, as the parts of a message ask for them. Keys are derived once for the purpose; a
 * device only adds its name, so that its tokens open for nobody else.
 */

import type { PrivacyKeys } from './keys.ts';
import { Pseudonyms, type TypedValue } from './pseudonyms.ts';
import type { FieldAction } from './selectors.ts';
import { Tokens } from './tokens.ts';

/** What was derived for the purpose. */
interface Derived {
  readonly pseudonyms: Pseudonyms;
  readonly tokens: Tokens;
}

/** No device has an empty id: tokens made for none open for none. */
const NO_DEVICE = '';

export class Disguise {
  readonly #keys: PrivacyKeys;
  readonly #purpose: string;
  readonly #device: string;
  readonly #derived: Derived;

  constructor(keys: PrivacyKeys, purpose: string, device = NO_DEVICE, derived = derive(keys, purpose)) {
    this.#keys = keys;
    this.#purpose = purpose;
    this.#device = device;
    this.#derived = derived;
  }

  /** The same purpose with the tokens of one device. */
  forDevice(device: string): Disguise {
    return new Disguise(this.#keys, this.#purpose, device, this.#derived);
  }

  pseudonym(value: TypedValue): string {
    return this.#derived.pseudonyms.of(value);
  }

  token(value: TypedValue): string {
    return this.#derived.tokens.of(value, this.#device);
  }

  /** A text from a query, header or path: a string, so it is disguised like the same string in a payload. */
  text(text: string, action: FieldAction): string {
    if (action === 'keep') return text;
    return action === 'tokenise' ? this.token(`s${text}`) : this.pseudonym(`s${text}`);
  }

  /** The value behind a token; see Tokens.open. */
  open(text: string): TypedValue | undefined {
    return this.#derived.tokens.open(text, this.#device);
  }
}

function derive(keys: PrivacyKeys, purpose: string): Derived {
  return { pseudonyms: new Pseudonyms(keys, purpose), tokens: new Tokens(keys, purpose) };
}
