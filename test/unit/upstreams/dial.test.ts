import { expect, it } from 'vitest';
import { Fault } from '../../../src/faults/fault.ts';
import { dialler, parseOrigin } from '../../../src/upstreams/dial.ts';
import { faultCode, RawServer } from './raw-server.ts';

function code(url: string, plaintext = false): string {
  try {
    parseOrigin(url, plaintext);
    return 'no fault';
  } catch (thrown) {
    return thrown instanceof Fault ? thrown.code : String(thrown);
  }
}

it('takes an origin apart', () => {
  expect(parseOrigin('https://Ingest.Example.com', false)).toEqual({
    secure: true,
    host: 'ingest.example.com',
    port: 443,
    url: 'https://ingest.example.com',
  });
  expect(parseOrigin('http://[::1]:9001', false)).toEqual({
    secure: false,
    host: '::1',
    port: 9001,
    url: 'http://[::1]:9001',
  });
});

it('plain http goes to loopback, or where the operator said so', () => {
  for (const host of ['localhost', '127.0.0.1', '127.9.9.9', '[::1]'])
    expect(code(`http://${host}:1`), host).toBe('no fault');
  for (const host of [
    'cloud.example',
    '10.0.0.1',
    '127.evil.example',
    '0.0.0.0',
    'localhost.evil.example',
    '[::ffff:127.0.0.1]',
    '128.0.0.1',
  ]) {
    expect(code(`http://${host}:1`), host).toBe('SP_CONFIG_INVALID');
    expect(code(`http://${host}:1`, true), host).toBe('no fault');
    expect(code(`https://${host}:1`), host).toBe('no fault');
  }
});

it('refuses whatever is not a bare origin', () => {
  for (const url of [
    '',
    'cloud',
    'ftp://cloud',
    'https://u:p@cloud',
    'https://u@cloud',
    'https://cloud/path',
    'https://cloud/?a',
    'https://cloud/#a',
    'file:///etc',
    'ws://cloud',
  ]) {
    expect(code(url, true), url).toBe('SP_CONFIG_INVALID');
  }
});

it('does not begin TLS without TLS settings', () => {
  expect(() => dialler(parseOrigin('https://localhost', false), undefined, 1)).toThrow(Fault);
});

it('gives up on a connection that does not come about', async () => {
  // TEST-NET-1 (RFC 5737): nobody answers, or the network says at once that there is no way.
  const dial = dialler(parseOrigin('http://192.0.2.1:9', true), undefined, 100);
  const started = performance.now();
  await expect(
    new Promise((resolve, reject) => dial((error, socket) => (error ? reject(error) : resolve(socket)))),
  ).rejects.toThrow();
  expect(performance.now() - started).toBeLessThan(2_000);
});

it('a server that accepts and says nothing does not hold a TLS handshake for ever', async () => {
  const server = await new RawServer(() => undefined).listen();
  const { UpstreamTls } = await import('../../../src/upstreams/tls.ts');
  const { upstreamSettings } = await import('./http-settings.ts');
  const { keyOf } = await import('./certificates.ts');
  const url = `https://localhost:${server.port}`;
  const dial = dialler(
    parseOrigin(url, false),
    UpstreamTls.forUpstream(upstreamSettings(url), 'localhost', keyOf),
    150,
  );
  const connecting = new Promise((resolve, reject) =>
    dial((error, socket) => (error ? reject(error) : resolve(socket))),
  );
  expect(await faultCode(connecting)).toBe('SP_UPSTREAM_UNREACHABLE');
  await server.close();
});
