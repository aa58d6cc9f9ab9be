/**
 * What may leave of a document under a rule: walks the tape and the rule's automaton side by side and writes canonical JSON.
 * Whatever is not named is not even looked at. An object or array of which nothing is left is left out itself, but for the
 * outermost, which stays as `{}` or `[]`.
 */
import { Fault } from '../faults/fault.ts';
import type { Action, Below, Member, State } from './automaton.ts';
import { coarsenAngle, coarsenEpoch, coarsenNumber, coarsenTimestamp, POSITION_MEMBERS } from './coarsen.ts';
import type { Disguise } from './disguise.ts';
import type { FieldCounts } from './field-counts.ts';
import {
  ARRAY,
  ESCAPED_STRING,
  FALSE,
  type JsonDocument,
  NULL,
  NUMBER,
  OBJECT,
  ROOT,
  STRING,
  TOKEN_WIDTH,
  TRUE,
} from './json-document.ts';
import type { TypedValue } from './pseudonyms.ts';

/** Nothing of a value may leave. No JSON text is empty. */
const NOTHING = '';

/**
 * The part of a document that may leave, in canonical JSON.
 *
 * @param counts is added to
 * @throws SP_PAYLOAD_VALUE if a value cannot be treated as the rule says
 */
export function minimise(document: JsonDocument, start: State, disguise: Disguise, counts: FieldCounts): string {
  const written = new Minimiser(document, disguise, counts).value(ROOT, start, false);
  if (written !== NOTHING) return written;
  if (document.kind(ROOT) === OBJECT) return '{}';
  if (document.kind(ROOT) === ARRAY) return '[]';
  throw new Fault(
    'SP_PAYLOAD_VALUE',
    'The payload is a bare value; a privacy rule names members of objects and arrays.',
  );
}

class Minimiser {
  readonly #document: JsonDocument;
  readonly #disguise: Disguise;
  readonly #counts: FieldCounts;

  constructor(document: JsonDocument, disguise: Disguise, counts: FieldCounts) {
    this.#document = document;
    this.#disguise = disguise;
    this.#counts = counts;
  }

  /** @param isKept something around this value is kept whole */
  value(token: number, { action, below }: State, isKept: boolean): string {
    if (action !== undefined && action.kind !== 'keep') return this.#treat(token, action, below);
    const keep = isKept || action !== undefined;
    if (!below.isEmpty) {
      const kind = this.#document.kind(token);
      if (kind === OBJECT) return this.#object(token, below, keep);
      if (kind === ARRAY) return this.#array(token, below, keep);
    }
    return keep ? this.#whole(token) : this.#drop();
  }

  #whole(token: number): string {
    this.#counts.kept += 1;
    return this.#document.text(token);
  }

  #drop(): string {
    this.#counts.dropped += 1;
    return NOTHING;
  }

  #object(token: number, below: Below, keep: boolean): string {
    const document = this.#document;
    const end = document.after(token);
    let written = '';
    // Neighbours that are kept whole are written in one piece: from the key at `run` to the value before `key`.
    let run = -1;
    let last = -1;
    for (let key = token + TOKEN_WIDTH; key < end; key = document.after(last)) {
      const member = this.#member(key, below);
      const state = member === undefined ? below.others : member.state;
      const before = last;
      last = key + TOKEN_WIDTH;
      if (isWhole(state, keep)) {
        this.#counts.kept += 1;
        if (run < 0) run = key;
        continue;
      }
      if (run >= 0) written += comma(written) + document.textOf(run, before);
      run = -1;
      const piece = state === undefined ? this.#drop() : this.value(last, state, keep);
      if (piece === NOTHING) continue;
      written += comma(written) + (member === undefined ? `${document.text(key)}:` : member.written) + piece;
    }
    if (run >= 0) written += comma(written) + document.textOf(run, last);
    return written === '' && !keep ? NOTHING : `{${written}}`;
  }

  #array(token: number, { items }: Below, keep: boolean): string {
    if (items === undefined) return keep ? this.#whole(token) : this.#drop();
    const document = this.#document;
    const end = document.after(token);
    let written = '';
    for (let item = token + TOKEN_WIDTH; item < end; item = document.after(item)) {
      const piece = this.value(item, items, keep);
      if (piece !== NOTHING) written += comma(written) + piece;
    }
    return written === '' && !keep ? NOTHING : `[${written}]`;
  }

  #member(key: number, below: Below): Member | undefined {
    let member = below.members.get(this.#document.hash(key));
    while (member !== undefined && !this.#document.isKey(key, member.name)) member = member.next;
    return member;
  }

  /** Null tells nothing but that there is no value, and stays null under every action. */
  #treat(token: number, action: Action, below: Below): string {
    const kind = this.#document.kind(token);
    if (kind === NULL) return this.#whole(token);
    if (action.kind === 'coarsen' && action.coarsening.kind === 'position') {
      if (kind === OBJECT) return this.#positionObject(token, below, action.coarsening.step);
      if (kind === ARRAY) return this.#positionArray(token, action.coarsening.step);
      return this.#refuse(token);
    }
    if (kind === OBJECT && !below.isEmpty) return this.#object(token, below, false);
    if (kind === ARRAY && !below.isEmpty) return this.#array(token, below, false);
    if (action.kind === 'coarsen') return this.#coarsen(token, action.coarsening.kind, action.coarsening.step);
    if (action.kind === 'tokenise') {
      this.#counts.tokenised += 1;
      return `"${this.#disguise.token(this.#typed(token))}"`;
    }
    this.#counts.pseudonymised += 1;
    return `"${this.#disguise.pseudonym(this.#typed(token))}"`;
  }

  #typed(token: number): TypedValue {
    switch (this.#document.kind(token)) {
      case STRING:
      case ESCAPED_STRING:
        return `s${this.#document.string(token)}`;
      case NUMBER:
        return `n${this.#document.text(token)}`;
      case TRUE:
        return 'btrue';
      case FALSE:
        return 'bfalse';
      default:
        return this.#refuse(token);
    }
  }

  #coarsen(token: number, as: 'number' | 'time' | 'position', step: number): string {
    const kind = this.#document.kind(token);
    let written: string | undefined;
    if (kind === NUMBER) {
      const value = this.#number(token);
      written = as === 'time' ? coarsenEpoch(value, step) : coarsenNumber(value, step);
    } else if (as === 'time' && (kind === STRING || kind === ESCAPED_STRING)) {
      const time = coarsenTimestamp(this.#document.string(token), step);
      written = time === undefined ? undefined : `"${time}"`;
    }
    return this.#coarsened(token, written);
  }

  /** One latitude and one longitude; other members only as selectors of their own say. */
  #positionObject(token: number, below: Below, step: number): string {
    const document = this.#document;
    const end = document.after(token);
    const found = new Set<string>();
    let written = '';
    for (let key = token + TOKEN_WIDTH; key < end; key = document.after(key + TOKEN_WIDTH)) {
      const value = key + TOKEN_WIDTH;
      const axis = POSITION_MEMBERS.get(document.string(key));
      const state = axis === undefined ? (this.#member(key, below)?.state ?? below.others) : undefined;
      let piece: string;
      if (axis !== undefined) {
        if (found.has(axis)) this.#refuse(token);
        found.add(axis);
        piece = this.#angle(value, step, axis === 'latitude' ? 90 : 180);
      } else piece = state === undefined ? this.#drop() : this.value(value, state, false);
      if (piece !== NOTHING) written += `${comma(written)}${document.text(key)}:${piece}`;
    }
    return found.size === 2 ? `{${written}}` : this.#refuse(token);
  }

  /** Two coordinates in either order, and a height, which is dropped. */
  #positionArray(token: number, step: number): string {
    const document = this.#document;
    const first = token + TOKEN_WIDTH;
    const end = document.after(token);
    const count = (end - first) / TOKEN_WIDTH;
    if (count !== 2 && count !== 3) this.#refuse(token);
    if (count === 3) this.#counts.dropped += 1;
    const [one, other] = [this.#angle(first, step, 180), this.#angle(first + TOKEN_WIDTH, step, 180)];
    return `[${one},${other}]`;
  }

  #angle(token: number, step: number, limit: 90 | 180): string {
    const kind = this.#document.kind(token);
    if (kind === NULL) return this.#whole(token);
    const isNumber = kind === NUMBER;
    return this.#coarsened(token, isNumber ? coarsenAngle(this.#number(token), step, limit) : undefined);
  }

  #coarsened(token: number, written: string | undefined): string {
    if (written === undefined) return this.#refuse(token);
    this.#counts.coarsened += 1;
    return written;
  }

  #number(token: number): number {
    return Number(this.#document.text(token));
  }

  /** The place, never the value. */
  #refuse(token: number): never {
    const at = this.#document.tape[token + 1] as number;
    throw new Fault('SP_PAYLOAD_VALUE', undefined, { details: { at } });
  }
}

/** True if a value is kept with everything in it. */
function isWhole(state: State | undefined, keep: boolean): boolean {
  if (state === undefined) return keep;
  return state.below.isEmpty && (state.action === undefined ? keep : state.action.kind === 'keep');
}

function comma(written: string): string {
  return written === '' ? '' : ',';
}
