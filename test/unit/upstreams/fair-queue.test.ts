import { afterEach, describe, expect, it } from 'vitest';
import { DEFAULT_LIMITS } from '../../../src/config/settings.ts';
import { type Dial, dialler, parseOrigin } from '../../../src/upstreams/dial.ts';
import { FairQueue, WAITING_PER_CONNECTION, WAITING_PER_DEVICE } from '../../../src/upstreams/fair-queue.ts';
import type { HttpUpstream } from '../../../src/upstreams/http-upstream.ts';
import { Http1Upstream } from '../../../src/upstreams/http1-upstream.ts';
import { openTo, upstreamSettings } from './http-settings.ts';
import { faultCode, RawServer, response, type Script, until } from './raw-server.ts';
import { sealedMessage, type Wanted } from './sealed-message.ts';

const opened: { close(graceMs: number): Promise<void> }[] = [];

async function cloud(script: Script, connections: number) {
  const server = await new RawServer(script).listen();
  const upstream = openTo(`http://127.0.0.1:${server.port}`, { connections, timeoutMs: 20_000 });
  opened.push(upstream, server);
  return { server, upstream };
}

async function send(upstream: HttpUpstream, wanted: Wanted) {
  const sealed = await sealedMessage(wanted);
  return upstream.request(sealed, sealed.permitted.identified.arrival.signal);
}

/** A body of 60 MB, announced, of which 160 bytes come a second. */
function slowStream(signal: AbortSignal): Wanted {
  async function* pieces() {
    while (!signal.aborted) {
      yield Buffer.alloc(16);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  return { verb: 'PUT', path: '/clip', signal, body: { kind: 'stream', stream: pieces(), length: 60_000_000 } };
}

const post: Wanted = { verb: 'POST', path: '/reading', body: { kind: 'bytes', bytes: Buffer.from('{}') } };
const answers: Script = ({ socket }) => socket.write(response('ok'));

const within = <T>(promise: Promise<T>, ms: number): Promise<T | 'late'> =>
  Promise.race([promise, new Promise<'late'>((resolve) => setTimeout(resolve, ms, 'late'))]);
const times = (received: string, what: string) => received.split(what).length - 1;

afterEach(async () => {
  for (const each of opened.splice(0)) await each.close(0);
});

describe('slow streams', () => {
  it('of one device, one on each of its 16 connections, hold 4 of 16: another device is answered at once', async () => {
    const { server, upstream } = await cloud(answers, 16);
    const camera = new AbortController();
    const streams = Array.from({ length: 16 }, () =>
      faultCode(send(upstream, { ...slowStream(camera.signal), device: 'camera' })),
    );
    await until(() => upstream.status.inFlight + upstream.status.waiting === 16);
    const reply = await within(send(upstream, { ...post, device: 'thermo' }), 2_000);
    expect(reply).toMatchObject({ status: 200 });
    expect(upstream.status).toMatchObject({ inFlight: 4, waiting: 12 });
    await until(() => times(server.received, 'PUT /clip') === 4);
    camera.abort();
    expect(new Set(await Promise.all(streams))).toEqual(new Set(['SP_EXCHANGE_CANCELLED']));
    await until(() => upstream.status.inFlight === 0);
    expect(upstream.status).toMatchObject({ waiting: 0, state: 'closed' });
    // Those that waited were never begun, and the device has its whole share again.
    expect(times(server.received, 'PUT /clip')).toBe(4);
    expect(await send(upstream, { ...post, device: 'camera' })).toMatchObject({ status: 200 });
  });

  it('of many devices hold half: others are answered at once, and so are their own plain messages', async () => {
    const { upstream } = await cloud(answers, 16);
    const leave = new AbortController();
    const streams = Array.from({ length: 6 * 16 }, (_, n) =>
      faultCode(send(upstream, { ...slowStream(leave.signal), device: `camera-${n % 6}` })),
    );
    await until(() => upstream.status.inFlight + upstream.status.waiting === 6 * 16);
    expect(upstream.status.inFlight).toBe(8);
    expect(await within(send(upstream, { ...post, device: 'thermo' }), 2_000)).toMatchObject({ status: 200 });
    expect(await within(send(upstream, { ...post, device: 'camera-5' }), 2_000)).toMatchObject({ status: 200 });
    leave.abort();
    await Promise.all(streams);
    await until(() => upstream.status.inFlight === 0);
    expect(upstream.status.waiting).toBe(0);
  });
});

it('a device that holds its share does not get the probe of an open circuit, to sit on it', async () => {
  const server = await new RawServer(answers).listen();
  const origin = parseOrigin(`http://127.0.0.1:${server.port}`, false);
  let refuses = false;
  const dial: Dial = (done) => {
    if (refuses) setImmediate(done, Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }), undefined);
    else dialler(origin, undefined, 1_000)(done);
  };
  const settings = { ...upstreamSettings(origin.url), timeoutMs: 20_000 };
  const upstream = new Http1Upstream(settings, origin, dial, DEFAULT_LIMITS, Date.now);
  opened.push(upstream, server);
  const leave = new AbortController();
  const stream = faultCode(send(upstream, { ...slowStream(leave.signal), device: 'camera' }));
  await until(() => server.received.includes('PUT /clip'));
  refuses = true;
  for (let n = 0; n < 5; n++) await faultCode(send(upstream, { ...post, device: 'thermo' }));
  expect(upstream.status.state).toBe('open');
  refuses = false;
  await new Promise((resolve) => setTimeout(resolve, 1_050));
  const refused = faultCode(send(upstream, { ...post, device: 'camera', signal: leave.signal }));
  expect(await within(refused, 1_000)).toBe('SP_UPSTREAM_CIRCUIT_OPEN');
  expect(await send(upstream, { ...post, device: 'thermo' })).toMatchObject({ status: 200 });
  leave.abort();
  expect(await stream).toBe('SP_EXCHANGE_CANCELLED');
});

describe('plain messages', () => {
  it('of two greedy devices are sent in turn, and one of a third is not behind them', async () => {
    const order: string[] = [];
    let answerFirst = (): unknown => undefined;
    const { upstream } = await cloud(({ socket }, head) => {
      order.push(/from=(\w)/.exec(head)?.[1] ?? '?');
      const answer = () => socket.write(response('ok'));
      if (order.length === 1) answerFirst = answer;
      else answer();
    }, 1);
    const all: Promise<unknown>[] = [];
    for (const device of 'xaaaaabbbbbc') {
      all.push(send(upstream, { ...post, device, query: `from=${device}` }));
      await until(() => upstream.status.inFlight + upstream.status.waiting === all.length);
    }
    await until(() => order.length === 1);
    answerFirst();
    await Promise.all(all);
    expect(order.join('')).toBe('xabcabababab');
    await until(() => upstream.status.inFlight === 0);
    expect(upstream.status.waiting).toBe(0);
  });

  it('of one device beyond its queue are refused, those of others are not', async () => {
    const { upstream } = await cloud(() => undefined, 16);
    const leave = new AbortController();
    const { signal } = leave;
    const codes: string[] = [];
    const all = Array.from({ length: 4 + WAITING_PER_DEVICE + 10 }, () =>
      faultCode(send(upstream, { ...post, signal, device: 'greedy' })).then((code) => codes.push(code)),
    );
    await until(() => codes.length === 10);
    expect(new Set(codes)).toEqual(new Set(['SP_UPSTREAM_BUSY']));
    expect(upstream.status).toMatchObject({ inFlight: 4, waiting: WAITING_PER_DEVICE });
    const other = faultCode(send(upstream, { ...post, signal, device: 'other' }));
    await until(() => upstream.status.inFlight === 5);
    leave.abort();
    expect(await other).toBe('SP_EXCHANGE_CANCELLED');
    await Promise.all(all);
    await until(() => upstream.status.inFlight === 0);
    expect(upstream.status.waiting).toBe(0);
  });

  it('that leave while they wait make room in their device’s queue', async () => {
    const { upstream } = await cloud(() => undefined, 4);
    const [stay, leave] = [new AbortController(), new AbortController()];
    const all = [faultCode(send(upstream, { ...post, device: 'a', signal: stay.signal }))];
    await until(() => upstream.status.inFlight === 1);
    const left = Array.from({ length: WAITING_PER_DEVICE }, () =>
      faultCode(send(upstream, { ...post, device: 'a', signal: leave.signal })),
    );
    await until(() => upstream.status.waiting === WAITING_PER_DEVICE);
    expect(await faultCode(send(upstream, { ...post, device: 'a' }))).toBe('SP_UPSTREAM_BUSY');
    leave.abort();
    expect(new Set(await Promise.all(left))).toEqual(new Set(['SP_EXCHANGE_CANCELLED']));
    expect(upstream.status).toMatchObject({ inFlight: 1, waiting: 0 });
    all.push(faultCode(send(upstream, { ...post, device: 'a', signal: stay.signal })));
    await until(() => upstream.status.waiting === 1);
    stay.abort();
    expect(await Promise.all(all)).toEqual(['SP_EXCHANGE_CANCELLED', 'SP_EXCHANGE_CANCELLED']);
  });
});

describe('the queue by itself', () => {
  const item = (device: string, streamed = false) => ({ device, streamed });
  const names = (queue: FairQueue<ReturnType<typeof item>>, count: number) =>
    Array.from({ length: count }, () => {
      const next = queue.next();
      if (next) queue.release(next);
      return next && `${next.device}${next.streamed ? '~' : ''}`;
    });

  it('serves devices in turn, each in its order', () => {
    const queue = new FairQueue<ReturnType<typeof item>>(16);
    for (let n = 0; n < 3; n++) queue.wait(item('a'));
    for (let n = 0; n < 3; n++) queue.wait(item('b'));
    queue.wait(item('c'));
    expect(names(queue, 8)).toEqual(['a', 'b', 'c', 'a', 'b', 'a', 'b', undefined]);
    expect([queue.waiting, queue.devices]).toEqual([0, 0]);
  });

  it('serves streams and plain messages in turn', () => {
    const queue = new FairQueue<ReturnType<typeof item>>(16);
    for (let n = 0; n < 3; n++) queue.wait(item('a', true));
    for (let n = 0; n < 3; n++) queue.wait(item('b'));
    expect(names(queue, 6)).toEqual(['a~', 'b', 'a~', 'b', 'a~', 'b']);
  });

  it.each([
    [1, 1, 1],
    [2, 1, 1],
    [3, 1, 1],
    [4, 1, 2],
    [5, 2, 2],
    [16, 4, 8],
    [64, 16, 32],
  ])('of %i connections a device holds %i at most, streams %i', (connections, perDevice, streams) => {
    const queue = new FairQueue<ReturnType<typeof item>>(connections);
    let held = 0;
    for (; queue.allows('a', false); held++) queue.hold(item('a'));
    expect(held).toBe(perDevice);
    expect(queue.allows('b', false)).toBe(true);
    let streaming = 0;
    for (; queue.allows(`s${streaming}`, true); streaming++) queue.hold(item(`s${streaming}`, true));
    expect(streaming).toBe(streams);
  });

  it('has a bound for each device and one for all', () => {
    const queue = new FairQueue<ReturnType<typeof item>>(2);
    const all: ReturnType<typeof item>[] = [];
    for (let device = 0; device < 10; device++) {
      for (let n = 0; queue.hasRoom(`d${device}`); n++) {
        all.push(item(`d${device}`, n % 2 === 0));
        queue.wait(all.at(-1) ?? item(''));
      }
    }
    expect(all.filter(({ device }) => device === 'd0').length).toBe(WAITING_PER_DEVICE);
    expect(queue.waiting).toBe(2 * WAITING_PER_CONNECTION);
    for (const each of all) expect([queue.cancel(each), queue.cancel(each)]).toEqual([true, false]);
    expect([queue.waiting, queue.devices, queue.next()]).toEqual([0, 0, undefined]);
  });
});
