/**
 * SenML packs (RFC 8428) with their base fields resolved (section 4.6), before any policy or privacy rule sees them: `bn` would
 * otherwise hide a device's name from a rule on `n`, and `bv` a reading from a rule on `v`. Leaves out: XML, EXI, SenSML streams.
 */
import { Fault } from '../../faults/fault.ts';
import {
  ARRAY,
  ESCAPED_STRING,
  FALSE,
  type JsonDocument,
  NUMBER,
  OBJECT,
  ROOT,
  STRING,
  TOKEN_WIDTH,
  TRUE,
} from '../json-document.ts';

/** RFC 8428 section 6, table 4: keys of the CBOR form. */
const LABELS: readonly (readonly [label: number, name: string])[] = [
  [-1, 'bver'],
  [-2, 'bn'],
  [-3, 'bt'],
  [-4, 'bu'],
  [-5, 'bv'],
  [-6, 'bs'],
  [0, 'n'],
  [1, 'u'],
  [2, 'v'],
  [3, 'vs'],
  [4, 'vb'],
  [5, 's'],
  [6, 't'],
  [7, 'ut'],
  [8, 'vd'],
];
export const SENML_NAMES: ReadonlyMap<number, string> = new Map(LABELS);
export const SENML_LABELS: ReadonlyMap<string, number> = new Map(LABELS.map(([label, name]) => [name, label]));

/** Times below are relative to now (RFC 8428 section 4.5.3). */
const RELATIVE_BELOW_S = 2 ** 28;
const VERSION = 10;
/** RFC 8428 section 4.5.1. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9\-:./_]*$/;
/** Of `bn` and `n` together. */
const MAX_NAME_CHARACTERS = 255;

const NUMBERS: ReadonlySet<string> = new Set(['bver', 'bt', 'bv', 'bs', 'v', 's', 't', 'ut']);
const STRINGS: ReadonlySet<string> = new Set(['bn', 'bu', 'n', 'u', 'vs', 'vd']);

interface Carried {
  name: string;
  timeS: number;
  unit: string | undefined;
  value: number;
  sum: number | undefined;
  version: number;
}

/**
 * @param document a pack in JSON, whatever it came in
 * @param nowS seconds since 1970, for relative times
 * @param maxCharacters of the resolved pack: a base name and a thousand short records make a long one of a short one
 * @returns the resolved pack as JSON text, an array of records with `n`, `u`, one value, `s`, `t`, `ut` and what else they had
 * @throws SP_PAYLOAD_SYNTAX when it is no SenML, has fields that must be understood, or is of a later version; SP_PAYLOAD_NUMBER when
 *   a sum leaves what a double holds exactly; SP_PAYLOAD_TOO_LONG
 */
export function resolveSenml(document: JsonDocument, nowS: number, maxCharacters: number): string {
  if (document.kind(ROOT) !== ARRAY) refuse('a pack is an array');
  const carried: Carried = { name: '', timeS: 0, unit: undefined, value: 0, sum: undefined, version: VERSION };
  const records: string[] = [];
  let characters = 1;
  const end = document.after(ROOT);
  for (let token = ROOT + TOKEN_WIDTH; token < end; token = document.after(token)) {
    if (document.kind(token) !== OBJECT) refuse('a record is an object');
    const one = record(document, token, carried, nowS);
    characters += one.length + 1;
    if (characters > maxCharacters) throw new Fault('SP_PAYLOAD_TOO_LONG', 'The resolved SenML pack is too long.');
    records.push(one);
  }
  if (records.length === 0) refuse('a pack has a record');
  return `[${records.join(',')}]`;
}

function record(document: JsonDocument, token: number, carried: Carried, nowS: number): string {
  const known = new Map<string, number>();
  let others = '';
  const end = document.after(token);
  for (let at = token + TOKEN_WIDTH; at < end; at = document.after(at + TOKEN_WIDTH)) {
    const key = document.string(at);
    const value = at + TOKEN_WIDTH;
    if (NUMBERS.has(key)) expectKind(document.kind(value) === NUMBER, key);
    else if (STRINGS.has(key))
      expectKind(document.kind(value) === STRING || document.kind(value) === ESCAPED_STRING, key);
    else if (key === 'vb') expectKind(document.kind(value) === TRUE || document.kind(value) === FALSE, key);
    else {
      // RFC 8428 section 4.4: what ends in an underscore must be understood or the pack refused.
      if (key.endsWith('_')) refuse('a field that must be understood');
      others += `,${document.textOf(at, value)}`;
      continue;
    }
    known.set(key, value);
  }
  carry(document, known, carried);
  return `${resolved(document, known, carried, nowS)}${others}}`;
}

function carry(document: JsonDocument, known: ReadonlyMap<string, number>, carried: Carried): void {
  const version = numberOf(document, known, 'bver');
  if (version !== undefined) {
    if (!Number.isInteger(version) || version < 1 || version > VERSION) refuse('a version that is not known');
    carried.version = version;
  }
  carried.name = textOf(document, known, 'bn') ?? carried.name;
  carried.timeS = numberOf(document, known, 'bt') ?? carried.timeS;
  carried.unit = textOf(document, known, 'bu') ?? carried.unit;
  carried.value = numberOf(document, known, 'bv') ?? carried.value;
  carried.sum = numberOf(document, known, 'bs') ?? carried.sum;
}

function resolved(document: JsonDocument, known: ReadonlyMap<string, number>, carried: Carried, nowS: number): string {
  const name = carried.name + (textOf(document, known, 'n') ?? '');
  if (name.length > MAX_NAME_CHARACTERS || !NAME.test(name)) refuse('a name that is none');
  let json = `{"n":${JSON.stringify(name)}`;
  const unit = textOf(document, known, 'u') ?? carried.unit;
  if (unit !== undefined) json += `,"u":${JSON.stringify(unit)}`;
  const values = ['v', 'vs', 'vb', 'vd'].filter((field) => known.has(field));
  const ownSum = numberOf(document, known, 's');
  const sum = ownSum === undefined && carried.sum === undefined ? undefined : (carried.sum ?? 0) + (ownSum ?? 0);
  if (values.length > 1 || (values.length === 0 && sum === undefined)) refuse('a record has one value');
  const [field] = values;
  if (field === 'v') json += `,"v":${written(carried.value + (numberOf(document, known, 'v') as number))}`;
  else if (field !== undefined) json += `,${JSON.stringify(field)}:${document.text(known.get(field) as number)}`;
  if (sum !== undefined) json += `,"s":${written(sum)}`;
  const timeS = carried.timeS + (numberOf(document, known, 't') ?? 0);
  json += `,"t":${written(timeS < RELATIVE_BELOW_S ? nowS + timeS : timeS)}`;
  const updateS = numberOf(document, known, 'ut');
  if (updateS !== undefined) json += `,"ut":${written(updateS)}`;
  if (carried.version !== VERSION) json += `,"bver":${carried.version}`;
  return json;
}

function numberOf(document: JsonDocument, known: ReadonlyMap<string, number>, field: string): number | undefined {
  const token = known.get(field);
  return token === undefined ? undefined : Number(document.text(token));
}

function textOf(document: JsonDocument, known: ReadonlyMap<string, number>, field: string): string | undefined {
  const token = known.get(field);
  return token === undefined ? undefined : document.string(token);
}

function written(value: number): string {
  if (!(Math.abs(value) <= Number.MAX_SAFE_INTEGER))
    throw new Fault('SP_PAYLOAD_NUMBER', 'A sum of SenML fields is too large.');
  return String(value);
}

function expectKind(isRight: boolean, field: string): void {
  if (!isRight) refuse(`${field} is of another type`);
}

function refuse(what: string): never {
  throw new Fault('SP_PAYLOAD_SYNTAX', `Not SenML (RFC 8428): ${what}.`);
}
