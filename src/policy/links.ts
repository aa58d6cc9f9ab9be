/** What a device may be told that it may reach: the paths of its segment's routes, as far as they can be spelled out. */
import type { SegmentSettings } from '../config/settings.ts';
import { templateParts } from './template.ts';

/** Methods that CoAP and HTTP have in common. */
const METHODS: ReadonlySet<string> = new Set(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', '*']);

/** Paths for CoAP, each once, in the order of the configuration. A route with a wildcard has no path of its own. */
export function reachableLinks({ routes }: SegmentSettings, id: string): readonly string[] {
  const paths = routes
    .filter(({ verb, over }) => METHODS.has(verb) && (over === undefined || over.includes('coaps')))
    .filter(({ path }) => !templateParts(path).some(({ kind }) => kind === 'any' || kind === 'rest'))
    .map(({ path }) => path.replaceAll('{device.id}', id));
  return [...new Set(paths)];
}
