/** No bytes of an upstream, however mangled and cut, end in anything but a Reply or a Fault; and the next answer is the next one's. */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Reply } from '../../src/exchange/message.ts';
import { Fault } from '../../src/faults/fault.ts';
import type { HttpUpstream } from '../../src/upstreams/http-upstream.ts';
import { openTo } from '../unit/upstreams/http-settings.ts';
import { RawServer, response } from '../unit/upstreams/raw-server.ts';
import { sealedMessage } from '../unit/upstreams/sealed-message.ts';

let server: RawServer;
let upstream: HttpUpstream;
let segments: readonly string[] = [];

beforeAll(async () => {
  server = await new RawServer(({ socket }, head) => {
    const probe = /^GET \/probe\/(\d+) /.exec(head);
    if (probe) return socket.write(response(`probe ${probe[1]}`));
    const write = (index: number) => {
      if (index >= segments.length) return socket.end();
      socket.write(segments[index] as string, 'latin1');
      return setImmediate(write, index + 1);
    };
    return write(0);
  }).listen();
  upstream = openTo(`http://127.0.0.1:${server.port}`, { connections: 1, timeoutMs: 500 });
});
afterAll(async () => {
  await upstream.close(0);
  await server.close();
});

const whole = fc.constantFrom(
  response('{"a":1}', 'content-type: application/json\r\netag: "1"\r\n'),
  'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n4\r\ndefg\r\n0\r\nt: u\r\n\r\n',
  'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n',
  'HTTP/1.1 204 No Content\r\n\r\n',
  'HTTP/1.0 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi',
  'HTTP/1.1 302 Found\r\nlocation: /next\r\ncontent-length: 0\r\n\r\n',
);
const splice = fc.constantFrom(
  '\r\n',
  '\n',
  '\0',
  ' ',
  ':',
  'content-length: 3\r\n',
  'transfer-encoding: chunked\r\n',
  'HTTP/1.1 200 OK\r\n\r\n',
  '0\r\n\r\n',
  '\xff',
  'f',
);
const mutation = fc.record({ at: fc.nat(200), remove: fc.nat(4), insert: fc.oneof(fc.constant(''), splice) });
const made = fc.record({
  whole,
  mutations: fc.array(mutation, { maxLength: 4 }),
  cuts: fc.array(fc.nat(200), { maxLength: 4 }),
});

function mangled({
  whole: bytes,
  mutations,
  cuts,
}: {
  whole: string;
  mutations: { at: number; remove: number; insert: string }[];
  cuts: number[];
}): string[] {
  let text = bytes;
  for (const { at, remove, insert } of mutations) {
    const index = at % (text.length + 1);
    text = text.slice(0, index) + insert + text.slice(index + remove);
  }
  const places = [...new Set(cuts.map((cut) => cut % (text.length + 1)))].sort((a, b) => a - b);
  return [...places, text.length]
    .map((end, index) => text.slice(index === 0 ? 0 : places[index - 1], end))
    .filter((part) => part !== '');
}

it('an answer is a bounded reply or a fault, and nothing spills into the next one', async () => {
  const outcomes = new Map<string, number>();
  let probe = 0;
  await fc.assert(
    fc.asyncProperty(made, async (parts) => {
      segments = mangled(parts);
      let outcome: string;
      try {
        const reply: Reply = await upstream.request(
          await sealedMessage({ path: '/hostile' }),
          new AbortController().signal,
        );
        outcome = 'reply';
        expect(reply.status).toBeGreaterThanOrEqual(200);
        expect(reply.status).toBeLessThan(600);
        for (const [, value] of reply.headers) expect(value).toMatch(/^[\t -~]*$/);
      } catch (thrown) {
        if (!(thrown instanceof Fault)) throw thrown;
        outcome = thrown.code;
        expect(thrown.code).toMatch(/^SP_UPSTREAM_(?:RESPONSE|TOO_LARGE|TIMEOUT)$/);
      }
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      // The connection may be closing; that is a fault, never somebody else's answer.
      probe++;
      const after = await upstream
        .request(await sealedMessage({ path: `/probe/${probe}` }), new AbortController().signal)
        .catch(() => undefined);
      if (after) expect(after.body.kind === 'bytes' && Buffer.from(after.body.bytes).toString()).toBe(`probe ${probe}`);
    }),
    { numRuns: 600 },
  );
  console.log(`upstream responses: ${JSON.stringify(Object.fromEntries(outcomes))}`);
  expect(outcomes.get('reply')).toBeGreaterThan(50);
  expect(outcomes.get('SP_UPSTREAM_RESPONSE')).toBeGreaterThan(50);
}, 60_000);
