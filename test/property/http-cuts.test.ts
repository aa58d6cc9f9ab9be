/** However the bytes are cut on their way, a request is the same request, and what is refused is refused. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { DEFAULT_LIMITS } from '../../src/config/settings.ts';
import { Fault } from '../../src/faults/fault.ts';
import { RequestReader } from '../../src/listeners/https/request-reader.ts';
import { judgeResponse } from '../../src/upstreams/response-head.ts';
import { ResponseParser } from '../../src/upstreams/response-parser.ts';
import { cook } from '../attack/smuggling/recipe.ts';
import { recipes } from './http-recipes.ts';

/** Everything that a connection is told, in order. */
function requestsOf(pieces: readonly Buffer[]): string[] {
  const reader = new RequestReader(() => DEFAULT_LIMITS);
  const told: string[] = [];
  let content: Buffer[] | undefined;
  const advance = () => {
    for (;;) {
      if (content === undefined) {
        const checked = reader.head();
        if (checked === undefined) return;
        told.push(JSON.stringify(checked));
        content = [];
      }
      for (let piece = reader.content(); piece !== undefined; piece = reader.content())
        content.push(Buffer.from(piece));
      if (!reader.ended) return;
      told.push(Buffer.concat(content).toString('latin1'));
      content = undefined;
    }
  };
  try {
    for (const piece of pieces) {
      reader.push(piece);
      advance();
    }
  } catch (thrown) {
    if (!(thrown instanceof Fault)) throw thrown;
    // Not its code: a line that cannot become one is refused before it is whole, and then it is not known what is wrong with it.
    told.push('refused');
  }
  return told;
}

function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  return [...ends, bytes.length].map((end, at) => Buffer.from(bytes.subarray(at === 0 ? 0 : ends[at - 1], end)));
}

it('requests', () => {
  let whole = 0;
  fc.assert(
    fc.property(recipes, fc.array(fc.nat(2_000), { maxLength: 6 }), (recipe, places) => {
      const bytes = Buffer.from(cook(recipe, 'm'), 'latin1');
      const expected = requestsOf([bytes]);
      expect(requestsOf(cut(bytes, places))).toEqual(expected);
      expect(requestsOf([...bytes].map((octet) => Buffer.from([octet])))).toEqual(expected);
      if (expected.at(-1) !== 'refused') whole += 1;
    }),
    { numRuns: 300 },
  );
  expect(whole).toBeGreaterThan(30);
});

function responseOf(pieces: readonly Buffer[]): string[] {
  const told: string[] = [];
  const content: Buffer[] = [];
  const parser = new ResponseParser(
    'GET',
    {
      onHead: (raw) => {
        const head = judgeResponse(raw, 'GET', DEFAULT_LIMITS);
        told.push(JSON.stringify(head));
        return head;
      },
      onInterim: (status) => void told.push(`interim ${status}`),
      onContent: (piece) => void content.push(Buffer.from(piece)),
    },
    DEFAULT_LIMITS,
  );
  try {
    for (const piece of pieces) parser.read(piece);
    told.push(parser.done ? `done, keeps ${parser.keepsAlive}` : 'more');
  } catch (thrown) {
    if (!(thrown instanceof Fault)) throw thrown;
    told.push(thrown.code);
  }
  return [...told, Buffer.concat(content).toString('latin1')];
}

const lines = fc.constantFrom(
  ...['HTTP/1.1 200 OK', 'HTTP/1.0 200', 'HTTP/1.1 103 Early', 'HTTP/1.1 204 None', 'HTTP/2 200', 'HTTP/1.1 99 x'],
  ...['content-length: 3', 'transfer-encoding: chunked', 'connection: close', 'etag: "a"', 'x : y', ' folded'],
  ...['', '', '3', '3;a=b', 'abc', '0', 't: u', 'content-length: 0', 'g'],
);
const mangled = fc
  .array(fc.tuple(lines, fc.constantFrom('\r\n', '\r\n', '\r\n', '\r\n', '\n', '\r')), { maxLength: 14 })
  .map((parts) => parts.map(([line, end]) => line + end).join(''));
const good = fc.constantFrom(
  'HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc',
  'HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nt: u\r\n\r\n',
  'HTTP/1.0 404 Not Found\r\nconnection: keep-alive\r\ncontent-length: 0\r\n\r\n',
);

it('responses', () => {
  fc.assert(
    fc.property(fc.oneof(good, mangled), fc.array(fc.nat(300), { maxLength: 6 }), (text, places) => {
      const bytes = Buffer.from(text, 'latin1');
      if (bytes.length === 0) return;
      // Bytes behind an answer are refused by the piece they come in; how far the content got before is not told to anybody.
      const expected = responseOf(bytes.length > 0 ? [bytes] : []);
      const pieces = responseOf(cut(bytes, places).filter(({ length }) => length > 0));
      expect(pieces.slice(0, -1)).toEqual(expected.slice(0, -1));
    }),
    { numRuns: 3_000 },
  );
});
