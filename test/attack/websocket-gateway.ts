/**
 * The gateway of websocket-bombs.test.ts, in a process of its own so that its memory can be told from the attackers': the
 * real HTTPS listener, WebSocket path and pipeline, with a policy that says yes.
 */
import { randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import type { Limits } from '../../src/config/settings.ts';
import type { Gate, Passage } from '../../src/exchange/gate.ts';
import { pass } from '../../src/exchange/pipeline.ts';
import { HttpsListener } from '../../src/listeners/https/listener.ts';
import type { TlsMaterial } from '../../src/listeners/https/tls-context.ts';
import { WebSocketListener } from '../../src/listeners/websocket/listener.ts';
import { dialler, parseOrigin } from '../../src/upstreams/dial.ts';
import { WebSocketUpstream } from '../../src/upstreams/websocket.ts';
import { DEVICE, PEER, TRANSPARENT } from '../unit/websocket/sealed-message.ts';

export interface GatewaySetup {
  readonly tls: TlsMaterial;
  readonly limits: Limits;
  readonly cloudPort: number;
}

export interface Memory {
  /** Resident set now, and at its highest since it was last asked for, bytes. */
  readonly now: number;
  readonly peak: number;
  readonly messages: number;
  readonly sessions: number;
}

let messages = 0;
const sessions = new Set<unknown>();

function gateTo(cloudPort: number, limits: Limits): Gate {
  const origin = parseOrigin(`http://127.0.0.1:${cloudPort}`, false);
  const dial = dialler(origin, undefined, 5_000);
  const upstream = new WebSocketUpstream({ name: 'cloud', origin, dial, timeoutMs: 5_000, limits });
  return {
    identifier: { identify: () => DEVICE, admit: () => undefined },
    decider: {
      revision: '1',
      decide: () => ({ allow: true, obligations: { route: 'cameras/frames', upstream: 'cloud' } }),
    },
    transformer: TRANSPARENT,
    recorder: { record: () => new Promise((resolve) => setImmediate(resolve)), outcome: () => {} },
    forwarder: {
      forward: async (sealed) => {
        const { channel, signal } = sealed.permitted.identified.arrival;
        if (channel === undefined) return upstream.open(sealed, signal);
        await channel.send(sealed);
        messages += 1;
        return { status: 204, headers: [], contentType: '', body: { kind: 'empty' } };
      },
    },
    now: () => Date.now(),
    micros: () => performance.now() * 1_000,
    decisionId: () => randomUUID(),
    observe: () => {},
  };
}

async function start({ tls, limits, cloudPort }: GatewaySetup): Promise<number> {
  const gate = gateTo(cloudPort, limits);
  const passage: Passage = {
    decisionId: () => gate.decisionId(),
    now: () => gate.now(),
    admit: () => undefined,
    pass: (arrival) => pass(arrival, gate),
    reconsider: async () => undefined,
    attend: (session) => {
      sessions.add(session);
      return () => sessions.delete(session);
    },
    drop: () => {},
    refuse: () => {},
  };
  const listener = new HttpsListener({
    address: { host: '127.0.0.1', port: 0 },
    tls,
    limits,
    passage,
    peerOf: () => PEER,
    upgrader: new WebSocketListener({ listener: 'https', limits, passage }),
  });
  await listener.listen();
  return listener.address().port;
}

/** The kernel keeps the high-water mark, so that no peak between two looks is missed. */
function memory(): Memory {
  const status = readFileSync('/proc/self/status', 'latin1');
  const kib = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0);
  return { now: kib('VmRSS') * 1_024, peak: kib('VmHWM') * 1_024, messages, sessions: sessions.size };
}

process.on('message', (asked: GatewaySetup | 'memory' | 'settle') => {
  if (asked === 'settle') {
    globalThis.gc?.();
    writeFileSync('/proc/self/clear_refs', '5'); // resets the high-water mark
  }
  if (typeof asked === 'object') void start(asked).then((port) => process.send?.(port));
  else process.send?.(memory());
});
process.on('disconnect', () => process.exit(0));
