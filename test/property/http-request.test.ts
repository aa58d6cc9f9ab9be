/** The strict layer over anything: a Fault of its own or a request that every reader reads alike. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DEFAULT_LIMITS } from '../../src/config/settings.ts';
import { Fault } from '../../src/faults/fault.ts';
import { checkRequest } from '../../src/listeners/https/check-request.ts';
import { checkRequestBytes } from '../../src/listeners/https/check-request-bytes.ts';
import { checkTarget } from '../../src/listeners/https/check-target.ts';
import type { CheckedRequest } from '../../src/listeners/https/checked-request.ts';
import { cook } from '../attack/smuggling/recipe.ts';
import { recipes } from './http-recipes.ts';

const latin1 = (max: number) =>
  fc.string({ unit: fc.nat(255).map((octet) => String.fromCharCode(octet)), maxLength: max });
const targetText = fc
  .array(
    fc.constantFrom(
      '/',
      '..',
      '.',
      'a',
      '%2e',
      '%2F',
      '%',
      '%c3%a9',
      '%e9',
      '?',
      '#',
      '\\',
      ';',
      '~',
      ' ',
      '\0',
      'é',
      '=',
      '&',
      '//',
    ),
    {
      maxLength: 12,
    },
  )
  .map((parts) => `/${parts.join('')}`);

function attempt<T>(act: () => T): T | Fault {
  try {
    return act();
  } catch (thrown) {
    if (thrown instanceof Fault && thrown.code.startsWith('SP_HTTP_')) return thrown;
    throw thrown;
  }
}

describe('checkTarget', () => {
  it('accepts only what the URL standard reads as the very same path and query, on no other host', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          targetText,
          latin1(24).map((text) => `/${text}`),
          fc.string(),
        ),
        (target) => {
          const checked = attempt(() => checkTarget(target, 4_096));
          if (checked instanceof Fault || checked.targetDevice !== undefined) return;
          const url = new URL(target, 'http://gw.example');
          expect(url.host).toBe('gw.example');
          expect(url.pathname).toBe(checked.path);
          expect(url.hash).toBe('');
          // The URL standard encodes an apostrophe in the query; RFC 3986 leaves it.
          expect(url.search.replaceAll('%27', "'")).toBe(checked.query === '' ? '' : `?${checked.query}`);
          // One resource, one spelling: what is decoded once has no second layer and no structure.
          expect(checked.path.split('/').map(decodeURIComponent).join('/').split('/')).toHaveLength(
            checked.path.split('/').length,
          );
        },
      ),
      { numRuns: 5_000 },
    );
  });
});

describe('checkRequest', () => {
  it('throws nothing but its own faults, and what it lets through is clean', () => {
    const name = fc.oneof(
      fc.constantFrom(
        'Host',
        'Content-Length',
        'Transfer-Encoding',
        'Connection',
        'Upgrade',
        'Content-Type',
        'Expect',
        'X-A',
        'X_A',
      ),
      latin1(8),
    );
    const value = fc.oneof(
      fc.constantFrom(
        'gw',
        '5',
        'chunked',
        'close',
        'keep-alive, upgrade',
        'websocket',
        'a/b; charset=utf-8',
        '100-continue',
      ),
      latin1(12),
    );
    fc.assert(
      fc.property(
        fc.record({
          method: fc.constantFrom('GET', 'POST', 'DELETE', 'TRACE', ''),
          url: fc.oneof(fc.constant('/a'), targetText),
          httpVersion: fc.constantFrom('1.1', '1.0', '0.9', '2.0'),
          rawHeaders: fc.array(fc.tuple(name, value), { maxLength: 8 }).map((fields) => fields.flat()),
        }),
        (head) => {
          const checked = attempt(() => checkRequest(head, DEFAULT_LIMITS));
          if (!(checked instanceof Fault)) expectClean(checked);
        },
      ),
      { numRuns: 5_000 },
    );
  });
});

describe('checkRequestBytes', () => {
  it('never throws, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(['accepted', 'refused', 'incomplete']).toContain(checkRequestBytes(bytes).kind);
      }),
      { numRuns: 2_000 },
    );
  });

  it('reads what it accepted in the same way when it is written anew', () => {
    let accepted = 0;
    fc.assert(
      fc.property(recipes, (recipe) => {
        const verdict = checkRequestBytes(Buffer.from(cook(recipe, 'm'), 'latin1'));
        if (verdict.kind !== 'accepted') return;
        accepted += 1;
        const { request, body } = verdict;
        expectClean(request);
        if (request.upgrade !== undefined || request.targetDevice !== undefined) return;
        const again = checkRequestBytes(Buffer.concat([Buffer.from(written(request, body.length), 'latin1'), body]));
        expect(again).toMatchObject({ kind: 'accepted', body: Buffer.from(body) });
        if (again.kind !== 'accepted') return;
        const { verb, path, query, headers, contentType } = request;
        expect(again.request).toMatchObject({ verb, path, query, headers, contentType });
      }),
      { numRuns: 5_000 },
    );
    expect(accepted).toBeGreaterThan(500);
  });

  it('judges a prefix of an accepted request as incomplete, never as another request', () => {
    fc.assert(
      fc.property(recipes, fc.double({ min: 0, max: 0.999_999, noNaN: true }), (recipe, share) => {
        const bytes = Buffer.from(cook(recipe, 'm'), 'latin1');
        const verdict = checkRequestBytes(bytes);
        if (verdict.kind !== 'accepted') return;
        const cut = bytes.subarray(0, Math.floor(share * verdict.consumedBytes));
        expect(checkRequestBytes(cut).kind).toBe('incomplete');
      }),
      { numRuns: 3_000 },
    );
  });
});

function written({ verb, path, query, headers }: CheckedRequest, length: number): string {
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  const host = headers.some(([name]) => name === 'host') ? '' : 'host: gw\r\n';
  const framing = length > 0 ? `content-length: ${length}\r\n` : '';
  // Without Host it was HTTP/1.0; the fields are compared without the one that was added.
  const version = host === '' ? '1.1' : '1.0';
  return `${verb} ${path}${query === '' ? '' : `?${query}`} HTTP/${version}\r\n${lines}${framing}\r\n`;
}

function expectClean({ verb, path, query, headers, contentLength, chunked }: CheckedRequest): void {
  expect(verb).toMatch(/^[A-Z]+$/);
  expect(path).toMatch(/^\/(?!\/)[!-~]*$/);
  expect(path).not.toMatch(/[#?\\]|\/\/|\/\.{1,2}(?:\/|;|$)/);
  expect(query).toMatch(/^[!-~]*$/);
  expect(chunked && contentLength !== undefined).toBe(false);
  const once = new Set<string>();
  for (const [name, value] of headers) {
    expect(name).toMatch(/^[a-z0-9-]+$/);
    expect(value).toMatch(/^[\t -~]*$/);
    expect(name).not.toMatch(
      /^(?:content-length|transfer-encoding|connection|keep-alive|te|trailer|upgrade|expect|proxy-.*)$/,
    );
    if (name === 'host' || name === 'content-type' || name === 'authorization') {
      expect(once.has(name)).toBe(false);
      once.add(name);
    }
  }
}
