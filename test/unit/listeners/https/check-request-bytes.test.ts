/** The checker of raw bytes, without a listener. */
import { describe, expect, it } from 'vitest';
import { DEFAULT_LIMITS } from '../../../../src/config/settings.ts';
import { checkRequestBytes } from '../../../../src/listeners/https/check-request-bytes.ts';

const judge = (text: string) => checkRequestBytes(Buffer.from(text, 'latin1'));
const H = 'Host: x\r\n';

describe('checkRequestBytes', () => {
  it('tells the request, its content and where the next one begins', () => {
    const next = 'GET /next HTTP/1.1\r\n';
    expect(judge(`POST /a?b HTTP/1.1\r\n${H}Content-Length: 3\r\n\r\nabc${next}`)).toMatchObject({
      kind: 'accepted',
      request: { verb: 'POST', path: '/a', query: 'b', contentLength: 3 },
      body: Buffer.from('abc'),
      consumedBytes: 53,
    });
    const chunked = `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\n\r\n00a;x="y z"\r\n0123456789\r\n1\r\n!\r\n0\r\n\r\n`;
    expect(judge(chunked + next)).toMatchObject({
      kind: 'accepted',
      body: Buffer.from('0123456789!'),
      consumedBytes: chunked.length,
    });
  });

  it.each([
    ['empty lines before', `\r\n\r\nGET / HTTP/1.1\r\n${H}\r\n`],
    ['spaces around a value', `GET / HTTP/1.1\r\nHost: \t x \t\r\n\r\n`],
  ])('accepts %s', (_, text) => {
    expect(judge(text)).toMatchObject({ kind: 'accepted', consumedBytes: text.length });
  });

  it('waits for more at every cut of a good request', () => {
    const whole = `POST /a HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`;
    for (let at = 0; at < whole.length; at += 1) expect(judge(whole.slice(0, at)).kind).toBe('incomplete');
    expect(judge(whole).kind).toBe('accepted');
  });

  it.each([
    ['HTTP/0.9', 'GET /\r\n', 'SP_HTTP_VERSION'],
    ['HTTP/0.9 with a bare LF', 'GET /\nHost: x\r\n\r\n', 'SP_HTTP_SYNTAX'],
    ['a bare LF in the request line', `GET / HTTP/1.1\n${H}\r\n`, 'SP_HTTP_SYNTAX'],
    ['a bare LF behind a field', 'GET / HTTP/1.1\r\nHost: x\n\r\n', 'SP_HTTP_SYNTAX'],
    ['a bare CR behind a field', 'GET / HTTP/1.1\r\nHost: x\rA: b\r\n\r\n', 'SP_HTTP_SYNTAX'],
    ['CR CR LF', 'GET / HTTP/1.1\r\r\nHost: x\r\n\r\n', 'SP_HTTP_SYNTAX'],
    ['a bare LF for the empty line', `GET / HTTP/1.1\r\n${H}\n`, 'SP_HTTP_SYNTAX'],
    ['a folded value', `GET / HTTP/1.1\r\n${H}A: b\r\n c\r\n\r\n`, 'SP_HTTP_HEADER'],
    ['a space before the colon', `POST / HTTP/1.1\r\n${H}Content-Length : 1\r\n\r\na`, 'SP_HTTP_HEADER'],
    ['a space before the first field', 'GET / HTTP/1.1\r\n Host: x\r\n\r\n', 'SP_HTTP_HEADER'],
    ['a field without a colon', `GET / HTTP/1.1\r\n${H}A\r\n\r\n`, 'SP_HTTP_HEADER'],
    ['a space before the method', ` GET / HTTP/1.1\r\n${H}\r\n`, 'SP_HTTP_SYNTAX'],
    ['a fourth word', `GET / HTTP/1.1 x\r\n${H}\r\n`, 'SP_HTTP_SYNTAX'],
    ['a space behind the version', `GET / HTTP/1.1 \r\n${H}\r\n`, 'SP_HTTP_SYNTAX'],
    ['a tab for a space', `GET\t/ HTTP/1.1\r\n${H}\r\n`, 'SP_HTTP_SYNTAX'],
    ['HTTP/1.10', `GET / HTTP/1.10\r\n${H}\r\n`, 'SP_HTTP_VERSION'],
    ['HTTP/1.2', `GET / HTTP/1.2\r\n${H}\r\n`, 'SP_HTTP_VERSION'],
    ['a version in lowercase', `GET / http/1.1\r\n${H}\r\n`, 'SP_HTTP_VERSION'],
    ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'SP_HTTP_VERSION'],
    [
      'a chunk without a size',
      `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\n\r\n\r\na\r\n0\r\n\r\n`,
      'SP_HTTP_FRAMING',
    ],
    [
      'a chunk with 0x',
      `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n`,
      'SP_HTTP_FRAMING',
    ],
    [
      'a chunk with a space',
      `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\n\r\n1 \r\na\r\n0\r\n\r\n`,
      'SP_HTTP_FRAMING',
    ],
    [
      'a chunk longer than its size',
      `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n`,
      'SP_HTTP_FRAMING',
    ],
    [
      'a chunk ended by LF',
      `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\n\r\n1\r\na\n0\r\n\r\n`,
      'SP_HTTP_FRAMING',
    ],
    [
      'a size ended by LF',
      `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n`,
      'SP_HTTP_SYNTAX',
    ],
    [
      'a chunk of 2^64',
      `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n`,
      'SP_HTTP_BODY_TOO_LARGE',
    ],
    ['a trailer', `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n`, 'SP_HTTP_FRAMING'],
    ['a length beyond the limit', `POST / HTTP/1.1\r\n${H}Content-Length: 67108865\r\n\r\n`, 'SP_HTTP_BODY_TOO_LARGE'],
    ['an endless line', `GET /${'a'.repeat(30_000)}`, 'SP_HTTP_HEADERS_TOO_LARGE'],
    ['endless fields', `GET / HTTP/1.1\r\n${'A: b\r\n'.repeat(65)}`, 'SP_HTTP_HEADERS_TOO_LARGE'],
    ['several spaces', `GET  / HTTP/1.1\r\n${H}\r\n`, 'SP_HTTP_SYNTAX'],
    ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n', 'SP_HTTP_SYNTAX'],
  ])('refuses %s', (_, text, code) => {
    expect(judge(text)).toMatchObject({ kind: 'refused', code });
  });

  it('takes time in proportion to its input, whatever that is', () => {
    const limits = { ...DEFAULT_LIMITS, headerBytes: 1 << 24, headerCount: 1 << 22, targetBytes: 1 << 24 };
    const hostile: Record<string, (n: number) => string> = {
      'empty lines': (n) => '\r\n'.repeat(n),
      spaces: (n) => `GET ${' '.repeat(n)}`,
      'dot segments': (n) => `GET ${'/.a'.repeat(n)} HTTP/1.1\r\n${H}\r\n`,
      escapes: (n) => `GET /${'%C3%A9'.repeat(n)} HTTP/1.1\r\n${H}\r\n`,
      fields: (n) => `GET / HTTP/1.1\r\n${H}${'a:b\r\n'.repeat(n)}\r\n`,
      'spaces around a value': (n) => `GET / HTTP/1.1\r\n${H}A: ${' '.repeat(n)}b${' '.repeat(n)}\r\n\r\n`,
      parameters: (n) => `GET / HTTP/1.1\r\n${H}Content-Type: a/b${';c=d'.repeat(n)}\r\n\r\n`,
      'spaces between parameters': (n) => `GET / HTTP/1.1\r\n${H}Content-Type: a/b${' '.repeat(n)}\r\n\r\n`,
      'connection options': (n) => `GET / HTTP/1.1\r\n${H}Connection: ${'close,'.repeat(n)}close\r\n\r\n`,
      chunks: (n) => `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\n\r\n${'1\r\na\r\n'.repeat(n)}0\r\n\r\n`,
    };
    for (const [name, make] of Object.entries(hostile)) {
      const time = (n: number): number => {
        const bytes = Buffer.from(make(n), 'latin1');
        const runs = Array.from({ length: 5 }, () => {
          const from = performance.now();
          checkRequestBytes(bytes, limits);
          return performance.now() - from;
        });
        return Math.min(...runs);
      };
      time(4_000);
      // Eight times the input: linear is 8, quadratic 64; between them is room for a busy machine.
      expect(time(32_000) / Math.max(time(4_000), 0.2), name).toBeLessThan(32);
    }
  });
});
