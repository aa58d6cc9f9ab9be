/** Sizes such as `10KiB` or `1.5G`. */
import { BigFloat } from '../engine/big-float.ts';
import { PolicyAbort } from '../engine/policy-abort.ts';
import { RegoNumber } from '../engine/value.ts';
import type { Builtin } from './builtin.ts';
import { textAt, undefinedResult } from './operands.ts';

const PREFIXES = ['k', 'm', 'g', 't', 'p', 'e'] as const;

/** Unit in lowercase to bytes: `kb` and `k` are 1000, `kib` and `ki` 1024. */
const BYTES: ReadonlyMap<string, bigint> = new Map([
  ['', 1n],
  ...PREFIXES.flatMap((prefix, at): [string, bigint][] => [
    [`${prefix}b`, 1000n ** BigInt(at + 1)],
    [prefix, 1000n ** BigInt(at + 1)],
    [`${prefix}ib`, 1024n ** BigInt(at + 1)],
    [`${prefix}i`, 1024n ** BigInt(at + 1)],
  ]),
]);

/** An exponent, as long as OPA takes it for one; otherwise the `e` begins the unit. */
const AMOUNT = /^((?:[0-9.+-]|e(?=[0-9+-]))*)(.*)/s;
const PLAIN_AMOUNT = /^[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:e[+-]?[0-9]{1,3})?$/;

export const parseBytes: Builtin = (parameters) => {
  const text = textAt(parameters, 0).toLowerCase().replaceAll('"', '');
  if (text.includes(' ')) return undefined;
  const [, amount, unit] = AMOUNT.exec(text) as unknown as [string, string, string];
  const factor = BYTES.get(unit) ?? undefinedResult();
  if (amount === '') return undefined;
  if (!PLAIN_AMOUNT.test(amount)) {
    // Go reads more forms than these (`1_0`, `0x1p4`, `Inf`), and refuses others: refused here, as one cannot tell cheaply.
    throw new PolicyAbort('units.parse_bytes: an unusual number.');
  }
  const literal = amount
    .replace('+', '')
    .replace(/^(-?)\./, '$10.')
    .replace(/\.(?=e|$)/, '');
  return RegoNumber.of(BigFloat.parse(literal).multiply(BigFloat.ofInteger(factor)).truncate());
};
