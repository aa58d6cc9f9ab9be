import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import type { WebSocket } from 'ws';
import type { Direction } from '../../../../src/exchange/arrival.ts';
import type { Decision, Gate } from '../../../../src/exchange/gate.ts';
import type { Identified } from '../../../../src/exchange/identified.ts';
import { Fault } from '../../../../src/faults/fault.ts';
import { frame, OPCODE } from '../../websocket/wire.ts';
import { closeOf, PERMIT, Stage, type StageOptions } from './stage.ts';

let stage: Stage;
afterEach(() => stage.close());

async function open(options: StageOptions = {}): Promise<Stage> {
  stage = await Stage.open(options);
  return stage;
}

function hears(socket: WebSocket): string[] {
  const heard: string[] = [];
  socket.on('message', (data, binary) => heard.push(binary ? `binary ${data}` : String(data)));
  return heard;
}

/** Permits the upgrade, and messages as the test likes. */
function messages(decide: (direction: Direction, text: string) => Decision | Promise<Decision>) {
  return ({ arrival }: Identified) => {
    if (arrival.channel === undefined) return PERMIT;
    return decide(arrival.direction, arrival.body.kind === 'bytes' ? Buffer.from(arrival.body.bytes).toString() : '');
  };
}

const deny = (reason: 'no-route' | 'rate-limited' | 'direction-not-allowed'): Decision => ({
  allow: false,
  reasons: [reason],
});

describe('every message is an exchange of its own', () => {
  it('in both directions, in order, text as text and binary as binary', async () => {
    await open();
    const { device, cloud } = await stage.pair('/v1/frames?zoom=2');
    const heard = hears(device);
    device.send('{"n":1}');
    device.send(Buffer.from('two'));
    device.send('three');
    await expect.poll(() => stage.heard).toEqual(['{"n":1}', 'binary two', 'three']);
    cloud.send('{"go":true}');
    cloud.send(Buffer.from([0x31]));
    await expect.poll(() => heard).toEqual(['{"go":true}', 'binary 1']);

    const seen = stage.outcomes
      .slice(1)
      .map(({ arrival, outcome }) => [arrival.direction, arrival.contentType, outcome.kind]);
    expect(seen).toEqual([
      ['toCloud', 'application/json', 'delivered'],
      ['toCloud', 'application/octet-stream', 'delivered'],
      ['toCloud', 'text/plain', 'delivered'],
      ['toDevice', 'application/json', 'delivered'],
      ['toDevice', 'application/octet-stream', 'delivered'],
    ]);
    const [upgrade, ...rest] = stage.outcomes.map(({ arrival }) => arrival);
    for (const arrival of rest) {
      expect(arrival).toMatchObject({ verb: 'WS', path: '/v1/frames', query: '', headers: [], protocol: 'websocket' });
      expect(arrival.peer).toBe(upgrade?.peer);
    }
    expect(new Set(stage.records.map(({ decision }) => decision)).size).toBe(6);
  });

  it.each([
    ['{"a":1}', 'application/json'],
    [' \r\n\t[1]', 'application/json'],
    ['{broken', 'application/json'],
    ['21.5', 'text/plain'],
    ['"text"', 'text/plain'],
    ['', 'text/plain'],
    ['   ', 'text/plain'],
    ['\ufeff{"a":1}', 'text/plain'],
  ])('and the text %j is taken for %s', async (text, contentType) => {
    await open();
    const { device } = await stage.pair();
    device.send(text);
    await expect.poll(() => stage.outcomes.at(1)?.arrival.contentType).toBe(contentType);
  });

  it('one at a time in each direction, and no faster than they are decided', async () => {
    let busy = 0;
    let most = 0;
    await open({
      decide: messages(async () => {
        busy += 1;
        most = Math.max(most, busy);
        await sleep(2);
        busy -= 1;
        return PERMIT;
      }),
    });
    const { device } = await stage.pair();
    const sent = Array.from({ length: 50 }, (_, at) => String(at));
    for (const text of sent) device.send(text);
    await expect.poll(() => stage.heard).toEqual(sent);
    expect(most).toBe(1);
  });

  it('what the device said before its goodbye still arrives, and then the goodbye', async () => {
    await open({ decide: messages(() => sleep(20, PERMIT)) });
    const { device, cloud } = await stage.pair();
    const closed = closeOf(cloud);
    for (const text of ['1', '2', '3']) device.send(text);
    device.close(4001, 'words of the device');
    expect(await closed).toBe('4001');
    expect(stage.heard).toEqual(['1', '2', '3']);
    expect(stage.drops).toEqual([]);
  });

  it('what the transformer made of a message is what leaves', async () => {
    await open({
      gate: ({ transformer }) => ({
        transformer: {
          ...transformer,
          transform: (permitted) => {
            const { arrival } = permitted.identified;
            const message = { ...arrival, body: { kind: 'bytes', bytes: Buffer.from('sealed') } } as const;
            return arrival.channel === undefined ? { ...arrival } : message;
          },
        },
      }),
    });
    const { device } = await stage.pair();
    device.send('{"owner":"Ada"}');
    await expect.poll(() => stage.heard).toEqual(['sealed']);
  });
});

describe('a message that is refused', () => {
  it('closes the device with 1008 and the reason, and the cloud with 1001 and none; nothing of it leaves', async () => {
    await open({ decide: messages((_, text) => (text === 'bad' ? deny('no-route') : PERMIT)) });
    const { device, cloud } = await stage.pair();
    const closes = Promise.all([closeOf(device), closeOf(cloud)]);
    for (const text of ['good', 'bad', 'behind it']) device.send(text);
    expect(await closes).toEqual(['1008 no-route', '1001']);
    expect(stage.heard).toEqual(['good']);
    expect(stage.drops).toEqual(['message-refused']);
    expect(stage.records.map(({ verdict }) => verdict)).toEqual(['permitted', 'permitted', 'denied']);
    await expect.poll(() => stage.sessions.size).toBe(0);
  });

  it('of the cloud does not reach the device; the cloud is told that it was its own', async () => {
    await open({
      decide: messages((direction) => (direction === 'toDevice' ? deny('direction-not-allowed') : PERMIT)),
    });
    const { device, cloud } = await stage.pair();
    const heard = hears(device);
    const closes = Promise.all([closeOf(device), closeOf(cloud)]);
    cloud.send('unlock');
    expect(await closes).toEqual(['1008 direction-not-allowed', '1008']);
    expect(heard).toEqual([]);
    expect(stage.drops).toEqual(['message-refused']);
  });

  it.each<[string, number, (gate: Gate) => Partial<Gate>]>([
    ['rate-limited', 1008, () => ({ decider: { revision: '1', decide: messages(() => deny('rate-limited')) } })],
    [
      'SP_POLICY_EVALUATION',
      1008,
      () => ({ decider: { revision: '1', decide: messages(() => fail('SP_POLICY_EVALUATION')) } }),
    ],
    ['SP_INTERNAL', 1011, () => ({ decider: { revision: '1', decide: messages(() => fail()) } })],
    [
      'SP_PAYLOAD_SYNTAX',
      1007,
      ({ transformer }) => ({ transformer: { ...transformer, transform: bad('SP_PAYLOAD_SYNTAX') } }),
    ],
    [
      'SP_PAYLOAD_TYPE',
      1003,
      ({ transformer }) => ({ transformer: { ...transformer, transform: bad('SP_PAYLOAD_TYPE') } }),
    ],
    [
      'SP_PAYLOAD_TOO_LONG',
      1009,
      ({ transformer }) => ({ transformer: { ...transformer, transform: bad('SP_PAYLOAD_TOO_LONG') } }),
    ],
    ['SP_LEDGER_WRITE', 1013, ({ recorder }) => ({ recorder: { ...recorder, record: full() } })],
  ])('for %s is closed with %d', async (reason, code, gate) => {
    await open({ gate });
    const { device } = await stage.pair();
    device.send('{}');
    expect(await closeOf(device)).toBe(`${code} ${reason}`);
    expect(stage.heard).toEqual([]);
    expect(stage.drops).toEqual(['message-refused']);
  });

  function fail(code?: 'SP_POLICY_EVALUATION'): never {
    throw code === undefined ? new Error('nobody foresaw this') : new Fault(code);
  }
  function bad(
    code: 'SP_PAYLOAD_SYNTAX' | 'SP_PAYLOAD_TYPE' | 'SP_PAYLOAD_TOO_LONG',
  ): Gate['transformer']['transform'] {
    return ({ identified: { arrival } }) => {
      if (arrival.channel !== undefined) throw new Fault(code);
      return { ...arrival };
    };
  }
  function full(): Gate['recorder']['record'] {
    let records = 0;
    return async () => {
      records += 1;
      if (records > 1) throw new Fault('SP_LEDGER_WRITE');
    };
  }

  it('of the wire is counted, logged and told', async () => {
    await open();
    const client = stage.raw();
    await client.opened;
    const cloud = stage.clouds[0] as WebSocket;
    const closed = closeOf(cloud);
    client.send(frame({ opcode: OPCODE.text, payload: Buffer.from([0xff]) }));
    expect(await client.ended).toEqual({ code: 1007, reason: 'SP_PAYLOAD_SYNTAX' });
    expect(await closed).toBe('1001');
    expect(stage.drops).toEqual(['message-refused']);
    expect(stage.refusals).toEqual(['SP_PAYLOAD_SYNTAX']);
  });

  it('of the cloud’s wire is not held against the device', async () => {
    await open({ limits: { webSocketMessageBytes: 1_000 } });
    const { device, cloud } = await stage.pair();
    const closes = Promise.all([closeOf(device), closeOf(cloud)]);
    cloud.send('x'.repeat(1_001));
    expect(await closes).toEqual(['1014 SP_UPSTREAM_TOO_LARGE', '1009']);
    expect(stage.drops).toEqual(['upstream-gone']);
    expect(stage.refusals).toEqual([]);
  });
});

describe('when one side closes, the other is closed', () => {
  it.each([
    [1000, '1000'],
    [1012, '1012'],
    [4321, '4321'],
    [1002, '1011'],
  ])('the cloud with %d', async (code, seen) => {
    await open();
    const { device, cloud } = await stage.pair();
    cloud.close(code, 'words of the cloud');
    expect(await closeOf(device)).toBe(seen);
    expect(stage.drops).toEqual(['upstream-gone']);
  });

  it('the cloud without a code', async () => {
    await open();
    const { device, cloud } = await stage.pair();
    cloud.close();
    expect(await closeOf(device)).toBe('1000');
  });

  it('the cloud without a word', async () => {
    await open();
    const { device, cloud } = await stage.pair();
    cloud.terminate();
    expect(await closeOf(device)).toBe('1001 SP_WEBSOCKET_CLOSED');
    expect(stage.drops).toEqual(['upstream-gone']);
  });

  it('the device without a word', async () => {
    await open();
    const { device, cloud } = await stage.pair();
    device.terminate();
    expect(await closeOf(cloud)).toBe('1001');
    expect(stage.drops).toEqual(['peer-gone']);
    await expect.poll(() => stage.sessions.size).toBe(0);
  });

  it('the cloud, while a message to it is being decided', async () => {
    const decided = Promise.withResolvers<Decision>();
    await open({ decide: messages(() => decided.promise) });
    const { device, cloud } = await stage.pair();
    device.send('on its way');
    const closed = closeOf(device);
    cloud.close(4005);
    await once(cloud, 'close');
    decided.resolve(PERMIT);
    expect(await closed).toBe('4005');
    await expect.poll(() => stage.sessions.size).toBe(0);
  });

  it('draining lets the message that is under way arrive', async () => {
    const decided = Promise.withResolvers<Decision>();
    await open({ decide: messages(() => decided.promise) });
    const { device } = await stage.pair();
    device.send('on its way');
    await expect.poll(() => stage.sessions.size).toBe(1);
    await sleep(30);
    for (const session of stage.sessions) session.close('draining');
    decided.resolve(PERMIT);
    await expect.poll(() => stage.heard).toEqual(['on its way']);
    await expect.poll(() => stage.sessions.size).toBe(0);
  });

  it('losing permission does not: what is under way is cancelled', async () => {
    const decided = Promise.withResolvers<Decision>();
    await open({ decide: messages(() => decided.promise) });
    const { device, cloud } = await stage.pair();
    device.send('on its way');
    await sleep(30);
    const closes = Promise.all([closeOf(device), closeOf(cloud)]);
    for (const session of stage.sessions) session.close('revoked');
    expect(await closes).toEqual(['1008 revoked', '1001']); // although the decision is still pending
    decided.resolve(PERMIT);
    await expect.poll(() => stage.sessions.size).toBe(0);
    expect(stage.heard).toEqual([]);
    expect(stage.records.at(-1)).toMatchObject({ verdict: 'failed', reasons: ['SP_EXCHANGE_CANCELLED'] });
  });
});

describe('backpressure', () => {
  const chunk = Buffer.alloc(60_000);
  const limits = { webSocketMessagesPerSecond: 1_000_000, webSocketSendBufferBytes: 200_000 };

  it('a device that does not read stops the cloud', async () => {
    await open({ limits });
    const client = stage.raw();
    await client.opened;
    client.socket.pause();
    const cloud = stage.clouds[0] as WebSocket;
    for (let sent = 0; sent < 1_000; sent += 1) cloud.send(chunk);
    await sleep(300);
    const through = stage.outcomes.length;
    await sleep(100);
    expect(stage.outcomes.length).toBe(through);
    expect(through).toBeLessThan(300);
    expect(cloud.bufferedAmount).toBeGreaterThan(20_000_000);
  });

  it('a cloud that does not read stops the device', async () => {
    await open({ limits });
    const { device, cloud } = await stage.pair();
    cloud.pause();
    for (let sent = 0; sent < 1_000; sent += 1) device.send(chunk);
    await sleep(300);
    expect(stage.outcomes.length).toBeLessThan(300);
    expect(device.bufferedAmount).toBeGreaterThan(20_000_000);
    cloud.resume();
    await expect.poll(() => stage.heard.length, { timeout: 10_000 }).toBe(1_000);
  });
});
