/**
 * JSON Schema of the policy input and of the verdict: the one definition. policies/input.schema.json and
 * policies/verdict.schema.json are these two objects as files, for `opa check --schema` and for people who write Rego;
 * a test keeps files, schemas and the TypeScript types of input.ts and verdict.ts equal.
 */

const text = (description: string) => ({ type: 'string', description }) as const;

export const INPUT_SCHEMA = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'Sallyport policy input',
  description: 'What the policy is asked: one message of one identified device, whatever the protocol.',
  type: 'object',
  additionalProperties: false,
  required: ['v', 'device', 'action', 'target', 'context'],
  properties: {
    v: {
      type: 'integer',
      description: 'Sentinel. The verdict must carry it back unchanged, or it counts for nothing.',
    },
    device: {
      type: 'object',
      description: 'The registered device that sent the message, or that is to receive it.',
      additionalProperties: false,
      required: ['id', 'segment', 'labels', 'state', 'auth'],
      properties: {
        id: text('Id in the registry.'),
        segment: text('Segment in the registry. It need not exist in the configuration.'),
        labels: {
          type: 'object',
          description: 'Labels of the registry, name to value.',
          additionalProperties: { type: 'string' },
        },
        manufacturer: text('As registered; absent if unknown.'),
        model: text('As registered; absent if unknown.'),
        firmware: text('As registered; absent if unknown.'),
        state: {
          type: 'string',
          enum: ['active', 'disabled', 'quarantined', 'retired'],
          description: 'State in the registry.',
        },
        auth: {
          type: 'object',
          description: 'How the peer proved its identity in the handshake.',
          additionalProperties: false,
          required: ['method', 'issuer', 'serial', 'not_after'],
          properties: {
            method: {
              type: 'string',
              enum: ['certificate', 'psk', 'raw-key'],
              description: 'What was proven: possession of a certified key, a shared key or a bare key.',
            },
            issuer: text(
              'Distinguished name of the issuer (RFC 4514); `psk` or `raw-key` for a device without a certificate.',
            ),
            serial: text(
              'Certificate serial number, uppercase hex; without a certificate the beginning of the key. A string, because serials exceed 2^53.',
            ),
            not_after: text('End of validity, RFC 3339 in UTC.'),
          },
        },
      },
    },
    action: {
      type: 'object',
      description: 'What the message does.',
      additionalProperties: false,
      required: ['protocol', 'verb', 'resource', 'content_type', 'bytes', 'direction'],
      properties: {
        protocol: {
          type: 'string',
          enum: ['https', 'websocket', 'coaps', 'mqtt', 'egress'],
          description: 'Protocol of the listener.',
        },
        verb: text('HTTP method in capitals; WS for a WebSocket upgrade and each of its messages.'),
        resource: text('Raw absolute path: one leading slash, percent-encoding kept, no dot segments, no query.'),
        content_type: text('Media type in lowercase without parameters; empty when the message has none.'),
        bytes: { type: 'integer', description: 'Length of the body; -1 for a stream of unknown length.' },
        direction: {
          type: 'string',
          enum: ['toCloud', 'toDevice'],
          description: 'toCloud leaves the device, toDevice comes down to it.',
        },
      },
    },
    payload: {
      description: 'The decoded payload, only where a route of the segment asks for it and never for a stream.',
    },
    target: {
      type: 'object',
      description: 'Where the message is to go, as far as the device says so. Empty for a plain message to the cloud.',
      additionalProperties: false,
      required: [],
      properties: {
        device: text('Device named by the message (device to device).'),
        segment: text('Segment of that device; absent if it is not registered, not active or has no address.'),
        upstream: text('Upstream that the message names.'),
        host: text('Host that the message names or where the target device is reached.'),
        port: { type: 'integer', description: 'Port on that host.' },
      },
    },
    context: {
      type: 'object',
      description: 'Facts about the gateway at this moment.',
      additionalProperties: false,
      required: ['time', 'listener', 'gateway', 'revision'],
      properties: {
        time: text('When the message arrived, RFC 3339 in UTC with milliseconds.'),
        listener: text('Name of the listener.'),
        gateway: text('Name of the gateway.'),
        revision: text('Revision of policy and data that decides.'),
      },
    },
  },
} as const;

export const VERDICT_SCHEMA = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'Sallyport policy verdict',
  description: 'What the policy answers. Anything that does not fit denies.',
  type: 'object',
  additionalProperties: false,
  required: ['v', 'allow', 'reasons'],
  properties: {
    v: { type: 'integer', description: 'The sentinel of the input.' },
    allow: { type: 'boolean', description: 'True permits, together with empty reasons and obligations.' },
    reasons: {
      type: 'array',
      items: { type: 'string' },
      description: 'Why not, from the closed list of docs/errors.md. The first one is what the peer is told.',
    },
    obligations: {
      type: 'object',
      description: 'What the permit demands of the gateway. Required to permit; not looked at in a denial.',
      additionalProperties: false,
      required: ['route', 'upstream'],
      properties: {
        route: text('Route that permits, segment/route.'),
        upstream: text('Name of the upstream, or device:<id> with the device that the message names.'),
        privacy: text(
          'Name of the privacy rule, or unchanged; absent: the message must carry neither payload nor query.',
        ),
        stream: { type: 'boolean', description: 'The body may pass uninspected.' },
        rate: {
          type: 'object',
          description: 'Token bucket of this permit, one per device.',
          additionalProperties: false,
          required: ['bucket', 'per_second', 'burst'],
          properties: {
            bucket: text('Name of the bucket; the gateway adds the device.'),
            per_second: { type: 'number', description: 'Tokens per second, above 0.' },
            burst: { type: 'number', description: 'Size of the bucket in tokens, at least 1.' },
          },
        },
        quiet: { type: 'boolean', description: 'Log this decision at debug instead of info.' },
      },
    },
  },
} as const;
