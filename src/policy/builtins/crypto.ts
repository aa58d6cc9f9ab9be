/** Digests. The hash functions themselves are handed in: see Digests. */
import type { Builtin } from './builtin.ts';
import { textAt } from './operands.ts';

export const sha256: Builtin = (parameters, { digests }) => digests.sha256(textAt(parameters, 0));

export const hmacSha256: Builtin = (parameters, { digests }) =>
  digests.hmacSha256(textAt(parameters, 0), textAt(parameters, 1));

/** In time that does not depend on where the two differ. */
export const hmacEqual: Builtin = (parameters) => {
  const a = Buffer.from(textAt(parameters, 0));
  const b = Buffer.from(textAt(parameters, 1));
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let at = 0; at < a.length; at += 1) difference |= (a[at] as number) ^ (b[at] as number);
  return difference === 0;
};
