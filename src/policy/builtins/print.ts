/** `print` and interpolated strings. Their operands are sets: empty when an expression is undefined. */
import { PolicyAbort } from '../engine/policy-abort.ts';
import { RegoObject, RegoSet, type Value } from '../engine/value.ts';
import { toRegoText } from '../engine/value-text.ts';
import type { Builtin } from './builtin.ts';
import { arrayAt } from './operands.ts';

/** More lines than this from one call are a mistake of the policy. */
const MAX_LINES = 100;

/** internal.print: one line for each combination of values, to the debug log if there is one. */
export const print: Builtin = (parameters, { print: write }) => {
  if (write === undefined) return true;
  let lines: string[][] = [[]];
  for (const operand of arrayAt(parameters, 0)) {
    const values = alternatives(operand);
    lines = lines.flatMap((line) => values.map((value) => [...line, value])).slice(0, MAX_LINES);
  }
  for (const line of lines) write(line.join(' '));
  return true;
};

/** internal.template_string. */
export const templateString: Builtin = (parameters) =>
  arrayAt(parameters, 0)
    .map((operand) => {
      const values = alternatives(operand);
      if (values.length > 1) throw new PolicyAbort('An interpolated expression has several values.');
      return values[0] as string;
    })
    .join('');

function alternatives(operand: Value): string[] {
  if (operand instanceof RegoSet) return operand.items.length === 0 ? ['<undefined>'] : operand.items.map(shown);
  if (Array.isArray(operand) || operand instanceof RegoObject) throw new PolicyAbort('print: an operand is no set.');
  return [shown(operand)];
}

function shown(value: Value): string {
  return typeof value === 'string' ? value : toRegoText(value);
}
