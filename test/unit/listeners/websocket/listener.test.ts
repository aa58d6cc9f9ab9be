import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { DEFAULT_LIMITS } from '../../../../src/config/settings.ts';
import type { Decision } from '../../../../src/exchange/gate.ts';
import { Fault } from '../../../../src/faults/fault.ts';
import { frame, OPCODE } from '../../websocket/wire.ts';
import { closeOf, PERMIT, Stage, type StageOptions } from './stage.ts';

let stage: Stage;
afterEach(() => stage.close());

async function open(options: StageOptions = {}): Promise<Stage> {
  stage = await Stage.open(options);
  return stage;
}

const DENY: Decision = { allow: false, reasons: ['no-route', 'outside-schedule'] };

describe('the upgrade is one exchange', () => {
  it('is answered 101 when policy permits it and the upstream’s own handshake is done', async () => {
    await open();
    await stage.pair('/v1/frames?zoom=2');
    expect(stage.cloudRequests[0]?.url).toBe('/v1/frames?zoom=2');
    expect(stage.records).toHaveLength(1);
    expect(stage.records[0]).toMatchObject({
      verdict: 'permitted',
      action: { protocol: 'websocket', verb: 'WS', resource: '/v1/frames', direction: 'toCloud', bytes: 0 },
    });
    expect(stage.sessions.size).toBe(1);
    expect(stage.attended).toBe(1);
  });

  it('does not connect to the upstream, and answers with the problem document, when policy denies it', async () => {
    await open({ decide: () => DENY });
    const client = stage.raw('/v1/frames');
    const head = await client.opened;
    await client.ended;
    expect(head).toMatch(/^HTTP\/1\.1 403 /);
    expect(head.toLowerCase()).toContain('content-type: application/problem+json');
    expect(head.toLowerCase()).toContain('connection: close');
    expect(JSON.parse(client.body)).toEqual({
      type: 'urn:sallyport:reason:no-route',
      title: 'Denied',
      status: 403,
      reason: 'no-route',
      decision: stage.records[0]?.decision,
    });
    expect(stage.clouds).toEqual([]);
    expect(stage.sessions.size).toBe(0);
  });

  it.each([
    ['SP_UPSTREAM_UNREACHABLE', 502],
    ['SP_UPSTREAM_TIMEOUT', 504],
    ['SP_LEDGER_WRITE', 503],
  ] as const)('answers %s with status %d', async (code, status) => {
    await open({ gate: () => ({ forwarder: { forward: () => Promise.reject(new Fault(code)) } }) });
    const client = stage.raw();
    const head = await client.opened;
    await client.ended;
    expect(head).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(JSON.parse(client.body)).toMatchObject({ status, reason: code });
  });

  it('is refused when something other than a WebSocket comes back', async () => {
    const forward = () =>
      Promise.resolve({ status: 200, headers: [], contentType: '', body: { kind: 'empty' } } as const);
    await open({ gate: () => ({ forwarder: { forward } }) });
    const client = stage.raw();
    expect(await client.opened).toMatch(/^HTTP\/1\.1 502 /);
  });

  it('lets what the device sends too early wait, and nothing of it pass before the decision', async () => {
    const decided = Promise.withResolvers<Decision>();
    await open({ decide: ({ arrival }) => (arrival.channel === undefined ? decided.promise : PERMIT) });
    const client = stage.raw();
    client.send(frame({ opcode: OPCODE.text, payload: 'early' }));
    await sleep(100);
    expect(stage.heard).toEqual([]);
    decided.resolve(PERMIT);
    await client.opened;
    await expect.poll(() => stage.heard).toEqual(['early']);
  });

  it('keeps a bounded amount of what is sent too early', async () => {
    await open({ decide: () => new Promise<never>(() => {}) });
    const client = stage.raw();
    let sent = 0;
    const more = () => {
      while (sent < 5_000 && client.socket.write(Buffer.alloc(16_384))) sent += 1;
    };
    client.socket.on('drain', more);
    more();
    await sleep(300);
    expect(sent).toBeLessThan(1_000);
  });

  it('is over when the device leaves meanwhile, and the upstream hears no more of it', async () => {
    const decided = Promise.withResolvers<Decision>();
    await open({ decide: () => decided.promise });
    const client = stage.raw();
    await expect.poll(() => stage.sessions.size).toBe(1);
    client.socket.resetAndDestroy();
    await expect.poll(() => stage.drops.length + stage.sessions.size).toBe(1);
    decided.resolve(PERMIT);
    await expect.poll(() => stage.drops).toEqual(['peer-gone']);
    expect(stage.sessions.size).toBe(0);
    for (const cloud of stage.clouds) await expect.poll(() => cloud.readyState).toBe(cloud.CLOSED);
  });

  it('does not slip through when permission is taken away while it is decided', async () => {
    const decided = Promise.withResolvers<Decision>();
    await open({ decide: () => decided.promise });
    const client = stage.raw();
    await expect.poll(() => stage.sessions.size).toBe(1);
    for (const session of stage.sessions) session.close('revoked');
    decided.resolve(PERMIT);
    await client.ended;
    await expect.poll(() => stage.sessions.size).toBe(0);
    expect(stage.drops).toEqual(['revoked']);
    expect(client.heard).toEqual([]);
    expect(stage.clouds.every(({ readyState, OPEN }) => readyState !== OPEN)).toBe(true);
  });
});

describe('the handshake', () => {
  it('agrees on the subprotocol that the upstream chose', async () => {
    await open({ subprotocol: 'mqtt' });
    const device = stage.device('/v1/frames', ['ocpp1.6', 'mqtt']);
    await once(device, 'open');
    expect(device.protocol).toBe('mqtt');
    expect(stage.cloudRequests[0]?.headers['sec-websocket-protocol']).toBe('ocpp1.6,mqtt');
  });

  it('is refused when the upstream’s subprotocol is none that the device offered', async () => {
    await open({
      subprotocol: 'mqtt',
      gate: ({ forwarder }) => ({
        forwarder: {
          forward: async (sealed) => {
            const reply = await forwarder.forward(sealed);
            const { channel } = reply;
            if (channel === undefined) return reply;
            return {
              ...reply,
              channel: {
                send: (sent) => channel.send(sent),
                receive: () => channel.receive(),
                close: (code, reason) => channel.close(code, reason),
                closed: channel.closed,
                subprotocol: 'other',
              },
            };
          },
        },
      }),
    });
    const client = stage.raw('/v1/frames', ['Sec-WebSocket-Protocol: mqtt']);
    expect(await client.opened).toMatch(/^HTTP\/1\.1 502 /);
    expect(stage.cloudRequests).toHaveLength(1);
    await expect.poll(() => stage.clouds[0]?.readyState).toBe(stage.clouds[0]?.CLOSED);
  });

  it.each([
    ['another origin', ['Origin: https://evil.example']],
    ['the null origin', ['Origin: null']],
    ['the gateway’s name without TLS', ['Origin: http://gateway.example']],
    ['the gateway’s name on another port', ['Origin: https://gateway.example:9443']],
    ['a subprotocol that is no token', ['Sec-WebSocket-Protocol: a b']],
    ['an empty subprotocol', ['Sec-WebSocket-Protocol: a,,b']],
    ['a subprotocol offered twice', ['Sec-WebSocket-Protocol: a, b, a']],
    ['too many subprotocols', [`Sec-WebSocket-Protocol: ${Array.from({ length: 17 }, (_, at) => `p${at}`)}`]],
  ])('is refused for %s', async (_, headers) => {
    await open();
    const client = stage.raw('/v1/frames', headers);
    expect(await client.opened).toMatch(/^HTTP\/1\.1 400 /);
    await client.ended;
    expect(JSON.parse(client.body)).toMatchObject({ reason: 'SP_HTTP_UPGRADE' });
    expect(stage.refusals).toEqual(['SP_HTTP_UPGRADE']);
    expect(stage.records).toEqual([]);
  });

  it.each([['https://gateway.example'], ['https://GATEWAY.example:443']])(
    'accepts the gateway’s own origin %s',
    async (origin) => {
      await open();
      expect(await stage.raw('/v1/frames', [`Origin: ${origin}`]).opened).toMatch(/^HTTP\/1\.1 101 /);
      expect(stage.cloudRequests[0]?.headers.origin).toBeUndefined();
    },
  );

  it('agrees on no extension, whatever is offered', async () => {
    await open();
    const client = stage.raw('/v1/frames', ['Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits']);
    expect((await client.opened).toLowerCase()).not.toContain('sec-websocket-extensions');
  });

  it('agrees on compression without memory when the operator asked for it', async () => {
    await open({ limits: { webSocketCompression: true } });
    const client = stage.raw('/v1/frames', ['Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits']);
    const extensions = /^sec-websocket-extensions: (.*)$/im.exec(await client.opened)?.[1] ?? '';
    expect(extensions).toContain('server_no_context_takeover');
    expect(extensions).toContain('client_no_context_takeover');
    expect(extensions).toContain('server_max_window_bits=12');
  });

  it('refuses a malformed offer of compression with the problem document', async () => {
    await open({ limits: { webSocketCompression: true } });
    const client = stage.raw('/v1/frames', ['Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=99']);
    expect(await client.opened).toMatch(/^HTTP\/1\.1 400 /);
    await client.ended;
    expect(JSON.parse(client.body)).toMatchObject({ reason: 'SP_HTTP_UPGRADE' });
    for (const cloud of stage.clouds) await expect.poll(() => cloud.readyState).toBe(cloud.CLOSED);
  });
});

describe('new limits', () => {
  it('hold for handshakes from then on, and open conversations keep theirs', async () => {
    await open();
    const old = await stage.pair();
    stage.listener.setLimits({ ...DEFAULT_LIMITS, webSocketMessageBytes: 10 });
    const young = await stage.pair();
    old.device.send('longer than ten');
    young.device.send('longer than ten');
    expect(await closeOf(young.device)).toBe('1009 SP_WEBSOCKET_TOO_LARGE');
    await expect.poll(() => stage.heard).toEqual(['longer than ten']);
  });
});

describe('sessions', () => {
  it('close both sides when the device is disabled, and are signed off', async () => {
    await open();
    const { device, cloud } = await stage.pair();
    const closes = Promise.all([closeOf(device), closeOf(cloud)]);
    const [session] = stage.sessions;
    session?.close('revoked');
    expect(await closes).toEqual(['1008 revoked', '1001']);
    await expect.poll(() => stage.sessions.size).toBe(0);
    expect(stage.drops).toEqual(['revoked']);
  });

  it('are cut off after a second when the device ignores the closing handshake', async () => {
    await open();
    const client = stage.raw();
    await client.opened;
    client.polite = false;
    client.socket.pause();
    await expect.poll(() => stage.sessions.size).toBe(1);
    const [session] = stage.sessions;
    const since = performance.now();
    session?.close('revoked');
    const cloud = stage.clouds[0];
    await expect.poll(() => cloud?.readyState, { timeout: 2_000 }).toBe(cloud?.CLOSED);
    client.socket.resume();
    await client.ended;
    expect(performance.now() - since).toBeLessThan(2_000);
  });

  it('drain with 1001', async () => {
    await open();
    const { device, cloud } = await stage.pair();
    const closes = Promise.all([closeOf(device), closeOf(cloud)]);
    const [session] = stage.sessions;
    session?.close('draining');
    expect(await closes).toEqual(['1001 SP_GATEWAY_DRAINING', '1001']);
    expect(stage.drops).toEqual(['draining']);
  });

  it('are decided anew under an id of their own when the policy changes', async () => {
    let decision = PERMIT;
    await open({ decide: () => decision });
    await stage.pair();
    const [session] = stage.sessions;
    expect(await session?.reconsider?.()).toBe(true);
    decision = DENY;
    expect(await session?.reconsider?.()).toBe(false);
    const [upgrade, denial] = stage.records;
    expect(denial).toMatchObject({ verdict: 'denied', reasons: ['no-route', 'outside-schedule'] });
    expect(denial?.decision).not.toBe(upgrade?.decision);
    expect(stage.heard).toEqual([]);
  });
});
