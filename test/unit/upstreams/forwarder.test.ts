import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TlsOptions } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { DEFAULT_LIMITS, type UpstreamSettings } from '../../../src/config/settings.ts';
import type { Channel } from '../../../src/exchange/message.ts';
import { Sealed } from '../../../src/exchange/sealed.ts';
import { MAX_DEVICE_UPSTREAMS } from '../../../src/upstreams/device-upstreams.ts';
import { UpstreamForwarder } from '../../../src/upstreams/forwarder.ts';
import { type Issued, issue, keyOf } from './certificates.ts';
import { upstreamSettings } from './http-settings.ts';
import { faultCode, RawServer, response, type Script, until } from './raw-server.ts';
import { sealedMessage } from './sealed-message.ts';

const folder = mkdtempSync(join(tmpdir(), 'sallyport-forwarder-'));
const opened: { close(): Promise<void> }[] = [];
const addresses = new Map<string, { url: string; key: string }>();
let root: Issued;
let trust: { ca: string } | undefined;

beforeAll(async () => {
  root = await issue({ name: 'Devices CA', ca: true });
  trust = { ca: root.pem };
});
afterEach(async () => {
  for (const each of opened.splice(0)) await each.close();
  addresses.clear();
});
afterAll(() => rmSync(folder, { recursive: true }));

async function server(script: Script, tls?: TlsOptions): Promise<RawServer> {
  const made = await new RawServer(script, tls).listen();
  opened.push(made);
  return made;
}

function settingsOf(...upstreams: UpstreamSettings[]) {
  return {
    upstreams: new Map(upstreams.map((each) => [each.name, each])),
    limits: { ...DEFAULT_LIMITS, drainTimeoutMs: 300 },
  };
}

function forwarder(...upstreams: UpstreamSettings[]): UpstreamForwarder {
  const made = new UpstreamForwarder(settingsOf(...upstreams), {
    keyOf,
    now: () => 1_700_000_000_000,
    deviceAddress: (id) => addresses.get(id),
    deviceTrust: () => trust,
  });
  opened.push(made);
  return made;
}

const say =
  (text: string): Script =>
  ({ socket }) =>
    socket.write(response(text));

async function answer(from: UpstreamForwarder, upstream: string, path = '/'): Promise<string> {
  const { body } = await from.forward(await sealedMessage({ upstream, path }));
  return body.kind === 'bytes' ? Buffer.from(body.bytes).toString() : body.kind;
}

describe('UpstreamForwarder', () => {
  it('sends nothing that was not sealed', async () => {
    const cloud = await server(say('x'));
    const target = forwarder(upstreamSettings(`http://127.0.0.1:${cloud.port}`));
    const genuine = await sealedMessage();
    const forged = Object.create(Sealed.prototype, {
      message: { value: genuine.message },
      permitted: { value: genuine.permitted },
    }) as Sealed;
    for (const value of [forged, { ...genuine } as unknown as Sealed, undefined as unknown as Sealed]) {
      expect(await faultCode(target.forward(value))).toBe('SP_EXCHANGE_UNPROVEN');
    }
    expect(cloud.connections.length).toBe(0);
  });

  it('goes by the permit alone', async () => {
    const [one, two] = [await server(say('one')), await server(say('two'))];
    const target = forwarder(
      upstreamSettings(`http://127.0.0.1:${one.port}`, { name: 'one' }),
      upstreamSettings(`http://127.0.0.1:${two.port}`, { name: 'two' }),
    );
    expect([await answer(target, 'one'), await answer(target, 'two'), await answer(target, 'one')]).toEqual([
      'one',
      'two',
      'one',
    ]);
    expect(await faultCode(answer(target, 'three'))).toBe('SP_UPSTREAM_UNKNOWN');
    expect(await faultCode(answer(target, '__proto__'))).toBe('SP_UPSTREAM_UNKNOWN');
    expect(target.stats()).toEqual([
      { name: 'one', state: 'closed', inFlight: 0, waiting: 0 },
      { name: 'two', state: 'closed', inFlight: 0, waiting: 0 },
    ]);
  });

  it('hands a message of an open channel to its channel', async () => {
    const sent: Sealed[] = [];
    const channel = { send: async (sealed: Sealed) => void sent.push(sealed) } as unknown as Channel;
    const sealed = await sealedMessage({ verb: 'WS', upstream: 'nowhere', arrival: { channel } });
    expect(await forwarder().forward(sealed)).toEqual({
      status: 204,
      headers: [],
      contentType: '',
      body: { kind: 'empty' },
    });
    expect(sent).toEqual([sealed]);
    await expect(
      forwarder().forward({ message: sealed.message, permitted: sealed.permitted } as unknown as Sealed),
    ).rejects.toThrow();
    expect(sent.length).toBe(1);
  });

  it('tells what went wrong last', async () => {
    const cloud = await server(({ socket }) => socket.write('nonsense\r\n\r\n'));
    const target = forwarder(upstreamSettings(`http://127.0.0.1:${cloud.port}`));
    expect(await faultCode(answer(target, 'cloud'))).toBe('SP_UPSTREAM_RESPONSE');
    expect(target.stats()).toMatchObject([{ lastError: 'SP_UPSTREAM_RESPONSE', lastErrorAt: 1_700_000_000_000 }]);
  });

  it('swaps its settings: new messages go the new way, those under way end on the old one', async () => {
    const old = await server(({ socket }) => setTimeout(() => socket.write(response('old')), 80));
    const fresh = await server(say('fresh'));
    const target = forwarder(upstreamSettings(`http://127.0.0.1:${old.port}`));
    const underWay = answer(target, 'cloud');
    await until(() => old.requests === 1);
    target.swap(settingsOf(upstreamSettings(`http://127.0.0.1:${fresh.port}`)));
    expect(await answer(target, 'cloud')).toBe('fresh');
    expect(await underWay).toBe('old');
    await until(() => old.connections[0]?.closed === true);
  });

  it('a forwarder of before the swap keeps to the settings of before', async () => {
    const [old, fresh] = [await server(say('old')), await server(say('fresh'))];
    const target = forwarder(upstreamSettings(`http://127.0.0.1:${old.port}`));
    const before = target.current();
    target.swap(settingsOf(upstreamSettings(`http://127.0.0.1:${fresh.port}`)));
    const { body } = await before.forward(await sealedMessage({ upstream: 'cloud', path: '/' }));
    expect(body.kind === 'bytes' && Buffer.from(body.bytes).toString()).toBe('old');
    expect([old.requests, fresh.requests]).toEqual([1, 0]);
  });

  it('keeps the old settings when the new ones do not work', async () => {
    const cloud = await server(say('still here'));
    const target = forwarder(upstreamSettings(`http://127.0.0.1:${cloud.port}`));
    writeFileSync(join(folder, 'empty.pem'), '');
    const broken = upstreamSettings('https://localhost:1', { ca: join(folder, 'empty.pem') });
    expect(() => target.swap(settingsOf(broken))).toThrow();
    expect(await answer(target, 'cloud')).toBe('still here');
  });

  it('does not wait for ever when it closes', async () => {
    const cloud = await server(() => undefined);
    const target = forwarder(upstreamSettings(`http://127.0.0.1:${cloud.port}`));
    const stuck = faultCode(answer(target, 'cloud'));
    await until(() => cloud.requests === 1);
    await target.close();
    expect(await stuck).toBe('SP_GATEWAY_DRAINING');
  });
});

describe('devices as upstreams', () => {
  async function device(id: string, shown: Issued, registered = shown): Promise<RawServer> {
    const made = await server(say(id), { cert: shown.pem, key: shown.keyPem });
    addresses.set(id, { url: `https://127.0.0.1:${made.port}`, key: registered.key });
    return made;
  }

  it('are known by their registered key, whatever name their certificate has', async () => {
    await device('valve-1', await issue({ name: 'valve-1', issuer: root }));
    expect(await answer(forwarder(), 'device:valve-1')).toBe('valve-1');
  });

  it('with any other key are refused, even one that the CA certified', async () => {
    const impostor = await device(
      'valve-1',
      await issue({ name: 'valve-1', issuer: root }),
      await issue({ name: 'valve-1', issuer: root }),
    );
    expect(await faultCode(answer(forwarder(), 'device:valve-1'))).toBe('SP_UPSTREAM_CERTIFICATE');
    expect(impostor.received).toBe('');
  });

  it('with a certificate of nobody are refused, even with the right key', async () => {
    const own = await issue({ name: 'valve-1' });
    const selfMade = await device('valve-1', own);
    expect(await faultCode(answer(forwarder(), 'device:valve-1'))).toBe('SP_UPSTREAM_CERTIFICATE');
    expect(selfMade.received).toBe('');
  });

  it('are not reached in clear, without an address, or without a CA', async () => {
    const plain = await server(say('x'));
    addresses.set('plain', { url: `http://127.0.0.1:${plain.port}`, key: root.key });
    const target = forwarder();
    expect(await faultCode(answer(target, 'device:plain'))).toBe('SP_UPSTREAM_CERTIFICATE');
    expect(await faultCode(answer(target, 'device:nobody'))).toBe('SP_UPSTREAM_UNREACHABLE');
    expect(plain.connections.length).toBe(0);
    await device('valve-1', await issue({ issuer: root }));
    const before = trust;
    trust = undefined;
    expect(await faultCode(answer(target, 'device:valve-1'))).toBe('SP_UPSTREAM_UNREACHABLE');
    trust = before;
  });

  it('that lose their permission lose their connections', async () => {
    const made = await device('valve-1', await issue({ issuer: root }));
    const target = forwarder();
    await answer(target, 'device:valve-1');
    addresses.delete('valve-1');
    expect(await faultCode(answer(target, 'device:valve-1'))).toBe('SP_UPSTREAM_UNREACHABLE');
    await until(() => made.connections[0]?.closed === true);
    expect(target.stats()).toEqual([]);
  });

  it('that change their key are asked for the new one', async () => {
    const leaf = await issue({ issuer: root });
    const made = await device('valve-1', leaf);
    const target = forwarder();
    await answer(target, 'device:valve-1');
    addresses.set('valve-1', { url: `https://127.0.0.1:${made.port}`, key: root.key });
    expect(await faultCode(answer(target, 'device:valve-1'))).toBe('SP_UPSTREAM_CERTIFICATE');
  });

  it('are kept in a bounded number, the one used longest ago goes first', async () => {
    const leaf = await issue({ issuer: root });
    const made = await server(say('x'), { cert: leaf.pem, key: leaf.keyPem });
    const url = `https://127.0.0.1:${made.port}`;
    const target = forwarder();
    for (let i = 0; i < MAX_DEVICE_UPSTREAMS; i++) {
      addresses.set(`d${i}`, { url, key: leaf.key });
      await faultCode(target.forward(await sealedMessage({ upstream: `device:d${i}`, signal: AbortSignal.abort() })));
    }
    await answer(target, 'device:d0');
    addresses.set('one-more', { url, key: leaf.key });
    await answer(target, 'device:one-more');
    const names = target.stats().map(({ name }) => name);
    expect([names.length, names.includes('device:d0'), names.includes('device:d1')]).toEqual([
      MAX_DEVICE_UPSTREAMS,
      true,
      false,
    ]);
  });
});
