/** Writes routes and reaches the way sallyport.yaml holds them: one line each, in YAML flow style. */
import type { Rate, ReachSettings, RouteSettings, Schedule } from '../config/settings.ts';

/** `admin: { allow: GET /admin, to: cloud }`; what has its default is left out. */
export function routeLine(route: RouteSettings): string {
  return `${scalar(route.name)}: ${routeValue(route)}`;
}

/** `{ allow: GET /admin, to: cloud }` */
export function routeValue(route: RouteSettings): string {
  const { verb, path, to, privacy, rate, over, direction, stream, inspect, when, quiet } = route;
  return flow([
    ['allow', action(verb, path)],
    ['to', scalar(to)],
    ['privacy', privacy && scalar(privacy)],
    ['rate', rate && rateValue(rate)],
    ['over', over && `[${over.map(scalar).join(', ')}]`],
    ['direction', direction === 'both' ? undefined : direction],
    ['stream', stream ? 'true' : undefined],
    ['inspect', inspect ? 'true' : undefined],
    ['when', when && scheduleValue(when)],
    ['quiet', quiet ? 'true' : undefined],
  ]);
}

/** `cameras: [GET /v1/still, { allow: PUT /v1/inbox, privacy: readings }]` */
export function reachLine(target: string, actions: readonly ReachSettings[]): string {
  const values = actions.map(({ verb, path, privacy }) => {
    const allow = action(verb, path);
    if (privacy === undefined) return allow;
    return flow([
      ['allow', allow],
      ['privacy', scalar(privacy)],
    ]);
  });
  return `${scalar(target)}: [${values.join(', ')}]`;
}

/** Text that YAML reads back as this very text. Names of digits, `true` and the like need quotes. */
export function scalar(text: string): string {
  const plain = /^[A-Za-z][A-Za-z0-9-]*$/.test(text) && !/^(?:true|false|null)$/i.test(text);
  return plain ? text : JSON.stringify(text);
}

function action(verb: string, path: string): string {
  const text = `${verb} ${path}`;
  return /^[A-Z]+ [A-Za-z0-9/._~*-]+$/.test(text) ? text : JSON.stringify(text);
}

function flow(entries: readonly (readonly [string, string | undefined])[]): string {
  const present = entries.flatMap(([key, value]) => (value === undefined ? [] : [`${key}: ${value}`]));
  return `{ ${present.join(', ')} }`;
}

const RATE_UNITS = [
  ['s', 1],
  ['min', 60],
  ['h', 3_600],
  ['d', 86_400],
] as const;

function rateValue({ perSecond, burst }: Rate): string {
  const [unit, count] = RATE_UNITS.map(([name, seconds]) => [name, round(perSecond * seconds)] as const).find(
    ([, inUnit]) => Number.isInteger(inUnit) && inUnit > 0,
  ) ?? ['s', perSecond];
  const limit = `${count}/${unit}`;
  if (burst === Math.max(1, Math.ceil(perSecond))) return limit;
  return flow([
    ['limit', limit],
    ['burst', String(burst)],
  ]);
}

/** Nine decimals, as many as a rate may have: 20/min is a third a second and comes back as 20. */
function round(value: number): number {
  return Math.round(value * 1e9) / 1e9;
}

const EVERY_DAY = 7;

function scheduleValue({ days, from, to }: Schedule): string {
  return flow([
    ['days', days.length === EVERY_DAY ? undefined : `[${days.join(', ')}]`],
    ['from', JSON.stringify(from)],
    ['to', JSON.stringify(to)],
  ]);
}
