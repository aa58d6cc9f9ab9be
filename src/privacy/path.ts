/** The path under a rule: the segment after each named word becomes a pseudonym or token, all others stay as they are. */
import { Fault } from '../faults/fault.ts';
import type { Disguise } from './disguise.ts';
import { count, type FieldCounts } from './field-counts.ts';
import type { FieldAction } from './selectors.ts';

/**
 * @param path raw and absolute, percent-encoding kept
 * @throws SP_PAYLOAD_SYNTAX on broken percent-encoding or UTF-8
 */
export function disguisePath(
  path: string,
  rules: ReadonlyMap<string, FieldAction>,
  disguise: Disguise,
  counts: FieldCounts,
): string {
  if (rules.size === 0) return path;
  const segments = path.split('/');
  let before = '';
  for (const [index, segment] of segments.entries()) {
    const action = rules.get(before);
    // Words are compared decoded: a device must not keep its serial in clear by writing /d%65vices/SN-1.
    before = decode(segment);
    if (action === undefined || segment === '') continue;
    count(counts, action);
    segments[index] = encodeURIComponent(disguise.text(before, action));
  }
  return segments.join('/');
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new Fault('SP_PAYLOAD_SYNTAX', 'The path is not percent-encoded UTF-8.');
  }
}
