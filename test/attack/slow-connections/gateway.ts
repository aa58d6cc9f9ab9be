/** The gateway of slow-connections.test.ts, in a process of its own so that its memory and its time are its own. */
import { readFileSync } from 'node:fs';
import type { Limits } from '../../../src/config/settings.ts';
import type { TlsMaterial } from '../../../src/listeners/https/tls-context.ts';
import { type Stage, startStage } from '../../unit/listeners/https/stage.ts';

export interface GatewaySetup {
  readonly tls: TlsMaterial;
  readonly limits: Partial<Limits>;
  /** Size of the answer to /large. */
  readonly largeBytes: number;
}

export interface Figures {
  readonly rssBytes: number;
  readonly connections: number;
  /** Drops and refusals by their names. */
  readonly counts: Readonly<Record<string, number>>;
}

let stage: Stage;

function figures(): Figures {
  const counts: Record<string, number> = {};
  for (const name of [...stage.drops, ...stage.refusals]) counts[name] = (counts[name] ?? 0) + 1;
  const kib = Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? 0);
  return { rssBytes: kib * 1_024, connections: stage.listener.connections, counts };
}

process.on('message', async (asked: GatewaySetup | Limits | 'figures') => {
  if (typeof asked === 'object' && 'drainTimeoutMs' in asked) {
    stage.listener.setLimits(asked);
    process.send?.('set');
    return;
  }
  if (asked === 'figures') {
    process.send?.(figures());
    return;
  }
  const large = Buffer.alloc(asked.largeBytes, 'q');
  stage = await startStage({
    limits: asked.limits,
    listener: { tls: asked.tls },
    forward: ({ path }) => ({
      status: 200,
      headers: [],
      contentType: 'text/plain',
      body: { kind: 'bytes', bytes: path === '/large' ? large : Buffer.from('ok') },
    }),
  });
  process.send?.(stage.port);
});
process.on('disconnect', () => process.exit(0));
