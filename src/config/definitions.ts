/** Every limit: unit, default, range, what it bounds and why the default is what it is. docs/limits.md is generated from here. */
import { DEFAULT_LIMITS, type Limits } from './settings.ts';

export type LimitUnit = 'count' | 'milliseconds' | 'bytes' | 'bytes per second' | 'per second' | 'yes/no';

export interface LimitDefinition {
  readonly key: keyof Limits;
  readonly unit: LimitUnit;
  readonly minimum: number;
  readonly maximum: number;
  readonly text: string;
  readonly reason: string;
}

const MiB = 1_048_576;

export const LIMIT_DEFINITIONS: readonly LimitDefinition[] = [
  define('connections', 'count', 1, 1_000_000, 'Open connections in all.', 'About 60 KB each: 1.2 GB at most.'),
  define(
    'connectionsPerAddress',
    'count',
    1,
    100_000,
    'Open connections from one address, before and after the handshake.',
    'A site behind one NAT has tens of devices; a flooder wants thousands.',
  ),
  define(
    'connectionsPerDevice',
    'count',
    1,
    10_000,
    'Open connections of one device.',
    'A device needs one or two; a hub that speaks for many needs more.',
  ),
  define(
    'exchangesPerDevice',
    'count',
    1,
    10_000,
    'Messages of one device in the pipeline at a time.',
    'One device must not fill the queue of all.',
  ),
  define(
    'handshakeTimeoutMs',
    'milliseconds',
    100,
    60_000,
    'Time for a TLS handshake.',
    'Twice the worst handshake of a small device on a bad link.',
  ),
  define(
    'headerTimeoutMs',
    'milliseconds',
    100,
    120_000,
    'Time from the first byte of a request to the end of its headers.',
    'Headers fit one packet; ten seconds are for lossy links.',
  ),
  define(
    'requestTimeoutMs',
    'milliseconds',
    100,
    600_000,
    'Time from the first byte of a request to its last.',
    'With the body limit this is the slow-body bound.',
  ),
  define(
    'idleTimeoutMs',
    'milliseconds',
    1_000,
    3_600_000,
    'Time a kept-alive connection may rest.',
    'A sensor that reports each minute keeps its session.',
  ),
  define(
    'minimumBytesPerSecond',
    'bytes per second',
    0,
    1_000_000,
    'Slowest body, averaged after the first two seconds.',
    'Slower than any radio in use, faster than an attacker who holds a slot.',
  ),
  define(
    'headerBytes',
    'bytes',
    1_024,
    262_144,
    'Header section of a request.',
    'Node’s own default; devices send under 1 KiB.',
  ),
  define('headerCount', 'count', 8, 1_000, 'Header fields of a request.', 'Devices send about ten.'),
  define('targetBytes', 'bytes', 64, 65_536, 'Path and query of a request.', 'Half of what servers commonly take.'),
  define(
    'certificateBytes',
    'bytes',
    1_024,
    65_536,
    'DER size of a device certificate.',
    'Real ones are under 2 KiB; post-quantum ones under 8.',
  ),
  define('certificateChain', 'count', 1, 10, 'Certificates a device may send.', 'Leaf, two intermediates and a root.'),
  define(
    'inspectedBodyBytes',
    'bytes',
    1_024,
    64 * MiB,
    'Largest body that is read, shown to policy and transformed.',
    'Telemetry is under 4 KiB; memory per message is bounded by this.',
  ),
  define(
    'streamedBodyBytes',
    'bytes',
    1_024,
    4_096 * MiB,
    'Largest body that a route with `stream: true` passes.',
    'A firmware image or a minute of video.',
  ),
  define(
    'responseBytes',
    'bytes',
    1_024,
    256 * MiB,
    'Largest body an upstream may answer with.',
    'A malicious cloud must not fill the gateway.',
  ),
  define('responseHeaderBytes', 'bytes', 1_024, 262_144, 'Header section of an upstream’s answer.', 'As for requests.'),
  define('jsonDepth', 'count', 1, 256, 'Nesting of a JSON payload.', 'No telemetry format nests past ten.'),
  define('jsonValues', 'count', 1, 1_000_000, 'Values in a JSON payload.', 'Bounds time and memory besides bytes.'),
  define(
    'policyInputBytes',
    'bytes',
    1_024,
    MiB,
    'Input of one policy decision.',
    'Evaluation costs about 18 ns a byte.',
  ),
  define(
    'policyMemoryBytes',
    'bytes',
    16 * MiB,
    4_096 * MiB,
    'Memory of one policy instance.',
    'Data takes eight to nine times its JSON size inside the module.',
  ),
  define(
    'policyTimeoutMs',
    'milliseconds',
    1,
    10_000,
    'Time for one canary evaluation when a policy is activated.',
    'A decision takes microseconds; a second is a broken policy, also on a machine that is busy.',
  ),
  define(
    'webSocketMessageBytes',
    'bytes',
    125,
    64 * MiB,
    'One WebSocket message, after inflation.',
    'As inspectedBodyBytes: every message is inspected.',
  ),
  define(
    'webSocketFragments',
    'count',
    1,
    10_000,
    'Fragments of one message.',
    'Fragment bombs cost memory per fragment.',
  ),
  define(
    'webSocketMessagesPerSecond',
    'per second',
    1,
    100_000,
    'Messages from one WebSocket.',
    'Three times a 30-frame camera.',
  ),
  define(
    'webSocketControlFramesPerSecond',
    'per second',
    1,
    10_000,
    'Pings, pongs and closes from one WebSocket.',
    'A ping flood asks for a pong each.',
  ),
  define(
    'webSocketSendBufferBytes',
    'bytes',
    1_024,
    256 * MiB,
    'Bytes waiting for a slow reader.',
    'Four messages of the largest size.',
  ),
  define(
    'webSocketPingIntervalMs',
    'milliseconds',
    1_000,
    3_600_000,
    'Time between our pings; two unanswered ones close.',
    'Below the idle timeout of common NATs.',
  ),
  define(
    'webSocketCompression',
    'yes/no',
    0,
    1,
    'Accept permessage-deflate, without context takeover.',
    'Off: inflation costs memory and invites bombs.',
  ),
  define(
    'ledgerFileBytes',
    'bytes',
    4_096,
    4_096 * MiB,
    'Size at which the ledger begins a new file.',
    'One file is scanned at start: well under a second.',
  ),
  define(
    'ledgerQueue',
    'count',
    16,
    1_000_000,
    'Decisions that may wait for the disk.',
    'Beyond this the disk is too slow: deny rather than grow.',
  ),
  define(
    'drainTimeoutMs',
    'milliseconds',
    0,
    600_000,
    'Time for running exchanges when the gateway stops.',
    'Under the ten seconds after which container engines kill.',
  ),
];

function define(
  key: keyof Limits,
  unit: LimitUnit,
  minimum: number,
  maximum: number,
  text: string,
  reason: string,
): LimitDefinition {
  return { key, unit, minimum, maximum, text, reason };
}

/** The default as a person reads it. */
export function defaultOf({ key, unit }: LimitDefinition): string {
  const value = DEFAULT_LIMITS[key];
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (unit === 'milliseconds') return value >= 1_000 ? `${value / 1_000} s` : `${value} ms`;
  if (unit === 'bytes') {
    if (value >= MiB && value % MiB === 0) return `${value / MiB} MiB`;
    return value >= 1_024 && value % 1_024 === 0 ? `${value / 1_024} KiB` : `${value} B`;
  }
  return String(value);
}
