/** Whatever message is sealed, an upstream sees exactly one request, and that one is the message, or it sees nothing. */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Body } from '../../src/exchange/arrival.ts';
import { Fault } from '../../src/faults/fault.ts';
import type { HttpUpstream } from '../../src/upstreams/http-upstream.ts';
import { openTo } from '../unit/upstreams/http-settings.ts';
import { RawServer, response } from '../unit/upstreams/raw-server.ts';
import { sealedMessage } from '../unit/upstreams/sealed-message.ts';

let server: RawServer;
let upstream: HttpUpstream;

beforeAll(async () => {
  server = await new RawServer(({ socket }) => socket.write(response('ok'))).listen();
  upstream = openTo(`http://127.0.0.1:${server.port}`, { connections: 1 });
});
afterAll(async () => {
  await upstream.close(0);
  await server.close();
});

const nasty = fc.constantFrom(
  '\r\n',
  '\n',
  '\r',
  '\0',
  ' ',
  '\t',
  ':',
  ',',
  '#',
  '?',
  '/',
  '%0d%0a',
  'é',
  '\u010a',
  'GET / HTTP/1.1',
  '0\r\n\r\n',
  'x',
);
const text = fc.array(fc.oneof(fc.string({ maxLength: 8 }), nasty), { maxLength: 4 }).map((parts) => parts.join(''));
const name = fc.oneof(
  fc.constantFrom(
    'content-length',
    'transfer-encoding',
    'connection',
    'host',
    'expect',
    'upgrade',
    'te',
    'x-a',
    'X_A',
    'accept',
    'content-type',
    'sallyport-decision',
  ),
  text,
);
const message = fc.record({
  verb: fc.oneof(fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'), text),
  path: fc.oneof(
    fc.constantFrom('/', '/a/b', '/%2F', '//a'),
    text.map((tail) => `/${tail}`),
    text,
  ),
  query: fc.oneof(fc.constant(''), text),
  headers: fc.array(fc.tuple(name, text), { maxLength: 5 }),
  contentType: fc.oneof(fc.constant(''), fc.constant('application/json'), text),
  body: fc.oneof(
    fc.constant<Body>({ kind: 'empty' }),
    fc.uint8Array({ maxLength: 64 }).map((bytes): Body => ({ kind: 'bytes', bytes })),
  ),
});

it('an upstream sees the message or nothing', async () => {
  let sent = 0;
  let refused = 0;
  await fc.assert(
    fc.asyncProperty(message, async (made) => {
      const before = server.received.length;
      const requests = server.requests;
      let fault: unknown;
      try {
        await upstream.request(await sealedMessage(made), new AbortController().signal);
      } catch (thrown) {
        fault = thrown;
      }
      const bytes = server.received.slice(before);
      if (fault !== undefined) {
        refused++;
        expect(fault).toBeInstanceOf(Fault);
        expect((fault as Fault).code).toMatch(/^SP_HTTP_(?:METHOD|TARGET|HEADER)$/);
        expect(bytes).toBe('');
        return;
      }
      sent++;
      expect(server.requests).toBe(requests + 1);
      const end = bytes.indexOf('\r\n\r\n');
      const [line, ...fields] = bytes.slice(0, end).split('\r\n');
      expect(line).toBe(`${made.verb} ${made.path}${made.query === '' ? '' : `?${made.query}`} HTTP/1.1`);
      const names = fields.map((field) => field.slice(0, field.indexOf(':')));
      for (const once of ['host', 'content-length', 'connection', 'sallyport-decision', 'accept', 'accept-encoding']) {
        expect(names.filter((each) => each === once).length).toBeLessThanOrEqual(1);
      }
      for (const never of ['transfer-encoding', 'expect', 'upgrade', 'te']) expect(names).not.toContain(never);
      expect(names.every((each) => /^[a-z0-9-]+$/.test(each))).toBe(true);
      const content = made.body.kind === 'bytes' ? Buffer.from(made.body.bytes).toString('latin1') : '';
      expect(bytes.slice(end + 4)).toBe(content);
    }),
    { numRuns: 1_500 },
  );
  console.log(`upstream requests: ${sent} messages seen as they are, ${refused} refused unsent`);
  expect(Math.min(sent, refused)).toBeGreaterThan(50);
});
