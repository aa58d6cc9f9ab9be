/** Schemas, TypeScript types, schema files and the fields that the Rego documents are one and the same. */
import { readFileSync } from 'node:fs';
import { describe, expect, expectTypeOf, it } from 'vitest';
import type { PolicyInput } from '../../../src/policy/input.ts';
import { PolicyInputWriter } from '../../../src/policy/input.ts';
import { INPUT_SCHEMA, VERDICT_SCHEMA } from '../../../src/policy/schema.ts';
import { parseVerdict, type Verdict } from '../../../src/policy/verdict.ts';
import { DEVICE, identifiedAs } from './policy-source.ts';

/** The TypeScript type that a schema describes, for the part of JSON Schema that ours use. */
type Described<S> = S extends { readonly enum: readonly (infer E)[] }
  ? E
  : S extends { readonly type: 'string' }
    ? string
    : S extends { readonly type: 'integer' | 'number' }
      ? number
      : S extends { readonly type: 'boolean' }
        ? boolean
        : S extends { readonly type: 'array'; readonly items: infer I }
          ? readonly Described<I>[]
          : S extends { readonly type: 'object'; readonly properties: infer P; readonly required: readonly (infer R)[] }
            ? DescribedObject<P, R>
            : S extends { readonly type: 'object'; readonly additionalProperties: infer A }
              ? Readonly<Record<string, Described<A>>>
              : unknown;
type DescribedObject<P, R> = Plain<
  { readonly [K in keyof P as K extends R ? K : never]: Described<P[K]> } & {
    readonly [K in keyof P as K extends R ? never : K]?: Described<P[K]>;
  }
>;
type Plain<T> = { [K in keyof T]: T[K] };

interface Schema {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly additionalProperties?: boolean | Schema;
}

/** Places where the value does not fit the schema. */
function misfits(schema: Schema, value: unknown, path = ''): string[] {
  const type = Array.isArray(value) ? 'array' : value === null ? 'null' : typeof value;
  const fits =
    schema.type === undefined || schema.type === type || (schema.type === 'integer' && Number.isInteger(value));
  if (!fits) return [`${path} is ${type}`];
  if (schema.enum && !schema.enum.includes(value)) return [`${path} is ${String(value)}`];
  if (type === 'array')
    return (value as unknown[]).flatMap((item, at) => misfits(schema.items ?? {}, item, `${path}/${at}`));
  if (type !== 'object') return [];
  const entries = Object.entries(value as object);
  const missing = (schema.required ?? []).filter((name) => !Object.hasOwn(value as object, name));
  return [
    ...missing.map((name) => `${path}/${name} is missing`),
    ...entries.flatMap(([name, item]) => {
      const known = schema.properties?.[name];
      if (known) return misfits(known, item, `${path}/${name}`);
      if (schema.additionalProperties === false) return [`${path}/${name} is unknown`];
      return typeof schema.additionalProperties === 'object'
        ? misfits(schema.additionalProperties, item, `${path}/${name}`)
        : [];
    }),
  ];
}

function leaves(schema: Schema, path: string): string[] {
  if (!schema.properties) return [path];
  return Object.entries(schema.properties).flatMap(([name, inner]) => leaves(inner, `${path}.${name}`));
}

const file = (name: string) =>
  JSON.parse(readFileSync(new URL(`../../../policies/${name}`, import.meta.url), 'utf8')) as unknown;

describe('input', () => {
  it('has one shape as a type and as a schema', () => {
    expectTypeOf<Described<typeof INPUT_SCHEMA>>().toEqualTypeOf<PolicyInput>();
    expect(file('input.schema.json')).toEqual(INPUT_SCHEMA);
  });

  it('is written in that shape', () => {
    const writer = new PolicyInputWriter(65_536);
    const context = { sentinel: 1, gateway: 'g', revision: 'r' };
    const full = { ...DEVICE, manufacturer: 'm', firmware: 'f', address: 'https://10.0.0.1:444' };
    const told = [
      { identified: identifiedAs(), context },
      {
        identified: identifiedAs({ device: full, arrival: { direction: 'toDevice', protocol: 'websocket' } }),
        context,
      },
      {
        identified: identifiedAs({ arrival: { targetDevice: 'x' } }),
        context: { ...context, target: full, document: { json: '{"a":[1]}' } },
      },
    ];
    for (const { identified, context: about } of told) {
      const input = JSON.parse(new TextDecoder().decode(writer.write(identified, about))) as unknown;
      expect(misfits(INPUT_SCHEMA, input)).toEqual([]);
    }
  });

  it('is documented beside the Rego that reads it, field by field', () => {
    const rego = readFileSync(new URL('../../../policies/sallyport/gate/verdict.rego', import.meta.url), 'utf8');
    const metadata = rego
      .split('\n')
      .filter((line) => line.startsWith('#'))
      .join('\n');
    for (const leaf of leaves(INPUT_SCHEMA, 'input')) {
      const name = leaf.slice(leaf.lastIndexOf('.') + 1);
      expect(metadata, leaf).toMatch(new RegExp(`\\b${name}\\b`));
    }
    const known = new Set(
      leaves(INPUT_SCHEMA, 'input').flatMap((leaf) =>
        leaf.split('.').map((_, at, parts) => parts.slice(0, at + 1).join('.')),
      ),
    );
    for (const [path] of rego.matchAll(/\binput(?:\.[a-z_]+)+/g)) {
      const labelled = path.startsWith('input.device.labels') || path.startsWith('input.payload');
      expect(labelled || known.has(path), path).toBe(true);
    }
  });
});

describe('verdict', () => {
  it('has one shape as a type and as a schema', () => {
    expectTypeOf<Described<typeof VERDICT_SCHEMA>>().toEqualTypeOf<Verdict>();
    expect(file('verdict.schema.json')).toEqual(VERDICT_SCHEMA);
  });

  it('is taken in that shape and in no other', () => {
    const rate = { bucket: 'b', per_second: 1, burst: 1 };
    const verdict: Verdict = {
      v: 1,
      allow: true,
      reasons: [],
      obligations: { route: 'r', upstream: 'u', privacy: 'p', stream: true, rate, quiet: true },
    };
    const accepted = (value: unknown) => {
      try {
        return parseVerdict(JSON.stringify([{ result: value }]), 1).allow;
      } catch {
        return false;
      }
    };
    expect(misfits(VERDICT_SCHEMA, verdict)).toEqual([]);
    expect(accepted(verdict)).toBe(true);
    const wrong = [null, {}, [], 'x', 1.5, true].map((value): unknown => value);
    for (const key of Object.keys(VERDICT_SCHEMA.properties) as (keyof Verdict)[]) {
      for (const value of wrong) {
        const changed = { ...verdict, [key]: value };
        if (misfits(VERDICT_SCHEMA, changed).length > 0)
          expect(accepted(changed), `${key} = ${JSON.stringify(value)}`).toBe(false);
      }
    }
    for (const key of Object.keys(VERDICT_SCHEMA.properties.obligations.properties)) {
      for (const value of wrong) {
        const changed = { ...verdict, obligations: { ...verdict.obligations, [key]: value } };
        if (misfits(VERDICT_SCHEMA, changed).length > 0)
          expect(accepted(changed), `${key} = ${JSON.stringify(value)}`).toBe(false);
      }
    }
  });

  it('says in the Rego which keys and obligations there are', () => {
    const rego = readFileSync(new URL('../../../policies/sallyport/gate/verdict.rego', import.meta.url), 'utf8');
    const metadata = rego
      .split('\n')
      .filter((line) => line.startsWith('#'))
      .join('\n');
    for (const name of [
      ...Object.keys(VERDICT_SCHEMA.properties),
      ...Object.keys(VERDICT_SCHEMA.properties.obligations.properties),
    ]) {
      expect(metadata, name).toMatch(new RegExp(`\\b${name}\\b`));
    }
  });
});
