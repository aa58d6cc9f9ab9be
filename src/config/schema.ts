/**
 * The shape of sallyport.yaml. Each key carries its description: docs/config.md is generated from them. Unknown keys are
 * errors. What one key says about another (does the upstream exist?) is load.ts's.
 */
import { z } from 'zod';
import { LIMIT_DEFINITIONS } from './definitions.ts';
import { angleDegrees, durationMs, ratePerSecond, sizeBytes } from './quantities.ts';
import type { Coarsening, Limits, Rate } from './settings.ts';

const name = z
  .string()
  .regex(/^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/, 'a name has 1 to 64 lowercase letters, digits and inner hyphens');

const VERBS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'WS', '*'] as const;

/** `POST /v1/telemetry` -> verb and template. */
export const action = z.string().transform((text, context) => {
  const space = text.indexOf(' ');
  const verb = space < 0 ? text : text.slice(0, space);
  const path = space < 0 ? '' : text.slice(space + 1).trim();
  const problem = !(VERBS as readonly string[]).includes(verb)
    ? `starts with a verb: ${VERBS.join(', ')}`
    : templateProblem(path);
  if (problem) {
    context.addIssue({ code: 'custom', message: `${problem}, as in "POST /v1/telemetry"` });
    return z.NEVER;
  }
  return { verb, path };
});

/** Why a path template is not one, or undefined. Literal segments use unreserved characters of RFC 3986 and `:@!$&'()+,;=`. */
export function templateProblem(path: string): string | undefined {
  if (!path.startsWith('/') || path.startsWith('//')) return 'then a path with exactly one leading slash';
  const segments = path.slice(1).split('/');
  for (const [index, segment] of segments.entries()) {
    if (segment === '{device.id}' || segment === '*') continue;
    if (segment === '**') {
      if (index === segments.length - 1) continue;
      return '`**` may stand only at the end of a path';
    }
    if (segment === '' && index === segments.length - 1) continue;
    if (segment === '.' || segment === '..' || !/^[A-Za-z0-9._~:@!$&'()+,;=-]{1,128}$/.test(segment)) {
      return `the path segment "${segment.slice(0, 40)}" is not literal text, {device.id}, * or **`;
    }
    if (segment.startsWith('~') && index === 0) return 'a first segment with ~ names a device; use `reach` for that';
  }
  return undefined;
}

export const rate = z
  .union([z.string(), z.strictObject({ limit: z.string(), burst: z.number().int().min(1).max(1_000_000) })])
  .transform((value, context): Rate => {
    const text = typeof value === 'string' ? value : value.limit;
    const perSecond = ratePerSecond(text);
    if (perSecond === undefined) {
      context.addIssue({ code: 'custom', message: 'a rate is written 10/s, 30/min, 100/h or 1000/d' });
      return z.NEVER;
    }
    return { perSecond, burst: typeof value === 'string' ? Math.max(1, Math.ceil(perSecond)) : value.burst };
  });

const clock = z.string().regex(/^(?:[01]\d|2[0-3]):[0-5]\d$/, 'a time of day is written HH:MM, in UTC, in quotes');
const days = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;

const schedule = z.strictObject({
  days: z
    .array(z.enum(days))
    .min(1)
    .default([...days])
    .describe('Weekdays; every day when left out.'),
  from: clock.default('00:00').describe('Start, `"HH:MM"` UTC.'),
  to: clock.default('00:00').describe('End, `"HH:MM"` UTC; not after `from` means over midnight.'),
});

const selector = z.string().min(1).max(256);
const selectors = z.array(selector).max(1_000).default([]);
const fieldNames = z.array(z.string().min(1).max(128)).max(256).default([]);

const fields = z
  .strictObject({
    keep: fieldNames.describe('Passed as they are.'),
    pseudonymise: fieldNames.describe('Replaced by a pseudonym.'),
    tokenise: fieldNames.describe('Replaced by a reversible token.'),
  })
  .prefault({});

const coarsening = z
  .union([z.number().positive(), z.string()])
  .transform((value, context): Omit<Coarsening, 'selector'> => {
    if (typeof value === 'number') return { kind: 'number', step: value };
    const degrees = angleDegrees(value);
    if (degrees !== undefined) return { kind: 'position', step: degrees };
    const ms = durationMs(value);
    if (ms !== undefined && ms >= 1_000) return { kind: 'time', step: ms / 1_000 };
    context.addIssue({ code: 'custom', message: 'a step is a number (5), a time (60 s) or an angle (0.1°)' });
    return z.NEVER;
  });

export const privacyRule = z.strictObject({
  keep: selectors.describe('Selectors of what passes as it is, e.g. `temperature`, `readings[*].value`.'),
  pseudonymise: selectors.describe('Replaced by a keyed pseudonym: the same every time, never reversible.'),
  tokenise: selectors.describe('Replaced by a reversible token that is mapped back on the way down.'),
  coarsen: z.record(selector, coarsening).default({}).describe('Rounded: `{ power: 10, time: 60 s, location: 0.1° }`.'),
  purpose: name.optional().describe('Purpose of the pseudonyms. The rule’s name when left out.'),
  query: fields.describe('The same for query parameters: `keep`, `pseudonymise`, `tokenise`.'),
  headers: fields.describe('The same for request headers.'),
  path: z
    .strictObject({
      pseudonymise: fieldNames.describe('The segment after each of these words becomes a pseudonym.'),
      tokenise: fieldNames.describe('The segment after each of these words becomes a token.'),
    })
    .prefault({})
    .describe('The same for path segments, named by the word before them.'),
});

export const route = z.strictObject({
  allow: action.describe(
    'Verb and path, e.g. `POST /v1/telemetry`, `WS /v1/frames/{device.id}`, `GET /files/**`. Over CoAP a `WS` route is observed.',
  ),
  to: name.describe('The upstream.'),
  privacy: name
    .optional()
    .describe(
      'The privacy rule for payload, query, headers and path; `unchanged` passes all as it is. Without it the message may carry no payload.',
    ),
  rate: rate.optional().describe('Messages per device: `10/s`, or `{ limit: 10/s, burst: 20 }`.'),
  over: z
    .array(z.enum(['https', 'websocket', 'coaps', 'mqtt']))
    .min(1)
    .optional()
    .describe('Protocols, e.g. `[https, websocket]`; every one when left out.'),
  direction: z
    .enum(['both', 'up', 'down'])
    .default('both')
    .describe('For channels: who may send, device (`up`), cloud (`down`) or both.'),
  stream: z.boolean().default(false).describe('Pass bodies over limits.inspectedBodyBytes without inspection.'),
  inspect: z.boolean().default(false).describe('Show the decoded payload to policy.'),
  when: schedule.optional().describe('Only at these times: `{ days: [mon, tue], from: "06:00", to: "22:00" }`.'),
  quiet: z.boolean().default(false).describe('Log decisions of this route at debug.'),
});

const reach = z.union([
  action.transform((allow) => ({ allow, privacy: undefined })),
  z.strictObject({ allow: action, privacy: name.optional() }),
]);

export const segment = z.strictObject({
  routes: z.record(name, route).default({}).describe('What devices of this segment may send, and where to.'),
  reach: z
    .record(name, z.array(reach).max(1_000))
    .default({})
    .describe('Device to device: per target segment, a list of actions or `{ allow, privacy }`.'),
});

const listenAddress = z.string().transform((text, context) => {
  const match = /^(?:\[([0-9a-fA-F:]{2,45})\]|([A-Za-z0-9.-]{1,253})):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (!match || port > 65_535) {
    context.addIssue({ code: 'custom', message: 'an address is written 0.0.0.0:8443, localhost:8443 or [::]:8443' });
    return z.NEVER;
  }
  return { host: (match[1] ?? match[2]) as string, port };
});

const file = z.string().min(1).max(1_024);
const pin = z
  .string()
  .regex(/^sha256\/[A-Za-z0-9+/]{43}=$/, 'a pin is written sha256/<base64 of SHA-256 over the public key>');

export const upstream = z.strictObject({
  url: z.string().max(2_048).describe('Origin: `https://host[:port]`. No path. `http://` only to loopback.'),
  certificate: file.optional().describe('Folder with our own `cert.pem` and `key.pem` towards this upstream (mTLS).'),
  ca: file.optional().describe('PEM file with the only CAs to trust for this upstream.'),
  pins: z.array(pin).max(16).default([]).describe('Public keys of which the upstream must show one: `sha256/…=`.'),
  connections: z.number().int().min(1).max(1_024).default(16).describe('Connections kept to it.'),
  timeoutMs: duration(30_000, 100, 600_000).describe('Time for a complete answer.'),
  dangerouslyPlaintext: z.boolean().default(false).describe('Allow `http://` to a host that is not loopback.'),
});

function duration(fallback: number, minimum: number, maximum: number) {
  return z
    .union([z.number(), z.string()])
    .transform((value, context) => quantity(value, durationMs, '30 s or 500 ms', minimum, maximum, context))
    .default(fallback);
}

function quantity(
  value: number | string,
  parse: (text: string) => number | undefined,
  example: string,
  minimum: number,
  maximum: number,
  context: z.RefinementCtx,
): number {
  const number = typeof value === 'number' ? value : parse(value);
  if (number === undefined || !Number.isInteger(number)) {
    context.addIssue({ code: 'custom', message: `is written ${example}` });
    return z.NEVER;
  }
  if (number < minimum || number > maximum) {
    context.addIssue({ code: 'custom', message: `lies between ${minimum} and ${maximum}` });
    return z.NEVER;
  }
  return number;
}

/** One optional key per limit, built from the definitions so that the two cannot differ. */
const limits = z.strictObject(
  Object.fromEntries(
    LIMIT_DEFINITIONS.map(({ key, unit, minimum, maximum, text }) => {
      if (unit === 'yes/no') return [key, z.boolean().optional().describe(text)];
      const parse = unit === 'milliseconds' ? durationMs : sizeBytes;
      const example =
        unit === 'milliseconds' ? '30 s or 500 ms' : unit.startsWith('bytes') ? '4 KiB or 4096' : 'a whole number';
      return [
        key,
        z
          .union([z.number(), z.string()])
          .transform((value, context) => quantity(value, parse, example, minimum, maximum, context))
          .optional()
          .describe(text),
      ];
    }),
  ) as Record<keyof Limits, z.ZodType<number | boolean | undefined>>,
);

export const configuration = z.strictObject({
  gateway: name.describe('The gateway’s name; it stands in the ledger and in policy input.'),
  listen: z
    .strictObject({
      https: listenAddress.optional().describe('HTTPS and WebSocket; a device certificate is required. `host:port`.'),
      coaps: listenAddress
        .optional()
        .describe(
          'CoAP over DTLS 1.2 (UDP), for devices with a certificate, a pre-shared or a raw public key. `host:port`; the port registered for it is 5684.',
        ),
      metrics: listenAddress.optional().describe('/healthz, /readyz and /metrics in clear; keep it on loopback.'),
      admin: z.literal('unix').default('unix').describe('The admin socket `run/admin.sock`, mode 0600.'),
    })
    .describe('Where the gateway listens.'),
  workers: z
    .union([z.literal('auto'), z.number().int().min(1).max(64)])
    .default('auto')
    .describe(
      'Processes that serve. `auto`: one per processor, up to eight; one where Linux’s sharing of ports is missing.',
    ),
  upstreams: z.record(name, upstream).describe('Clouds and services behind the gateway.'),
  segments: z.record(name, segment).describe('Groups of devices and what they may do.'),
  privacy: z
    .record(name, privacyRule)
    .default({})
    .describe('Rules for what may leave of a payload; the rest is dropped.'),
  policy: z
    .strictObject({
      module: file
        .optional()
        .describe('A policy.wasm of your own, made by `sallyport policy build`. The one that ships when left out.'),
      entrypoint: z
        .string()
        .regex(/^[a-z0-9_]+(?:\/[a-z0-9_]+)*$/)
        .default('sallyport/gate/verdict')
        .describe('The rule that gives the verdict.'),
      data: file.optional().describe('A JSON file of your own, seen by policy as `data.custom`.'),
    })
    .prefault({})
    .describe('Only for those who write Rego.'),
  limits: limits.default({} as never).describe('Bounds; docs/limits.md lists them with their reasons.'),
  log: z
    .strictObject({
      level: z.enum(['debug', 'info', 'warn', 'error']).default('info').describe('`debug`, `info`, `warn` or `error`.'),
    })
    .prefault({})
    .describe('Logging.'),
});

export type Configuration = z.output<typeof configuration>;
