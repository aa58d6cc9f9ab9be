/** What a device may be told that it may reach: the paths of its segment's routes, as far as they can be spelled out. */
import type { SegmentSettings } from '../config/settings.ts';
import { matchesTemplate, templateParts } from './template.ts';

/** Methods that CoAP and HTTP have in common. */
const CHANNEL = 'WS';
const METHODS: ReadonlySet<string> = new Set(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', '*']);

export interface ReachableLink {
  readonly path: string;
  /** A channel whose messages come down can be observed there. */
  readonly observable: boolean;
}

/** Paths for CoAP, each once, in the order of the configuration. A route with a wildcard has no path of its own. */
export function reachableLinks({ routes }: SegmentSettings, id: string): readonly ReachableLink[] {
  const links = new Map<string, ReachableLink>();
  for (const { verb, path: template, over } of routes) {
    if (!(METHODS.has(verb) || verb === CHANNEL) || !isForCoap(over)) continue;
    if (templateParts(template).some(({ kind }) => kind === 'any' || kind === 'rest')) continue;
    const path = template.replaceAll('{device.id}', id);
    links.set(path, { path, observable: verb === CHANNEL || links.get(path)?.observable === true });
  }
  return [...links.values()];
}

/** True if a route of the segment is a channel at this path. Whether it may be opened is policy's to say. */
export function isChannel({ routes }: SegmentSettings, path: string, id: string): boolean {
  return routes.some(
    (route) => route.verb === CHANNEL && isForCoap(route.over) && matchesTemplate(route.path, path, id),
  );
}

function isForCoap(over: readonly string[] | undefined): boolean {
  return over === undefined || over.includes('coaps');
}
