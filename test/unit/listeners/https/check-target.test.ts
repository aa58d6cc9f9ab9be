/** The target is accepted in the one spelling that every reader takes for the same resource, or not at all. */
import { describe, expect, it } from 'vitest';
import { checkTarget } from '../../../../src/listeners/https/check-target.ts';

describe('checkTarget', () => {
  it.each([
    ['/', { path: '/', query: '' }],
    ['/v1/telemetry', { path: '/v1/telemetry', query: '' }],
    ['/v1/telemetry/', { path: '/v1/telemetry/', query: '' }],
    ['/a?b=c&d=/?e', { path: '/a', query: 'b=c&d=/?e' }],
    ['/a?', { path: '/a', query: '' }],
    ['/caf%C3%A9/%20x', { path: '/caf%C3%A9/%20x', query: '' }],
    ['/a.b/..c/...', { path: '/a.b/..c/...', query: '' }],
    ['/a;v=1/b,c:d@e', { path: '/a;v=1/b,c:d@e', query: '' }],
    ['/x?u=http%3A%2F%2Fh%2F&e=%2e%61', { path: '/x', query: 'u=http%3A%2F%2Fh%2F&e=%2e%61' }],
    ['/100%25', { path: '/100%25', query: '' }],
    ['/~thermo-1/status?x', { path: '/status', query: 'x', targetDevice: 'thermo-1' }],
    ['/~a', { path: '/', query: '', targetDevice: 'a' }],
    ['/~a/', { path: '/', query: '', targetDevice: 'a' }],
    ['/a/~b', { path: '/a/~b', query: '' }],
  ])('accepts %s', (target, expected) => {
    expect(checkTarget(target, 4_096)).toEqual({ targetDevice: undefined, ...expected });
  });

  it.each([
    ['nothing', ''],
    ['absolute form', 'http://host/a'],
    ['absolute form, equal', 'https://localhost/a'],
    ['authority form', 'host:443'],
    ['asterisk', '*'],
    ['a relative path', 'a/b'],
    ['a query alone', '?a'],
    ['two slashes', '//evil.example/v1/telemetry'],
    ['two slashes alone', '//'],
    ['an empty segment', '/a//b'],
    ['an empty segment at the end', '/a//'],
    ['a backslash', '/a\\b'],
    ['a backslash for a slash', '/\\evil'],
    ['a fragment', '/a#b'],
    ['a fragment in the query', '/a?b#c'],
    ['a space', '/a b'],
    ['a tab', '/a\tb'],
    ['NUL', '/a\0'],
    ['DEL', '/a\x7f'],
    ['obs-text', '/a\xff'],
    ['beyond Latin-1', '/a\u2215b'],
    ['angle brackets', '/<a>'],
    ['quotes', '/"a"'],
    ['braces', '/{a}'],
    ['a caret', '/a^b'],
    ['a bracket in the query', '/a?b[]=c'],
    ['one dot', '/.'],
    ['one dot inside', '/a/./b'],
    ['two dots', '/a/..'],
    ['two dots inside', '/a/../b'],
    ['two dots with a parameter', '/a/..;x=1/b'],
    ['one dot with a parameter', '/a/.;/b'],
    ['encoded dots', '/a/%2e%2e/b'],
    ['half-encoded dots', '/a/.%2E/b'],
    ['an encoded slash', '/a%2fb'],
    ['an encoded slash in capitals', '/a%2Fb'],
    ['an encoded backslash', '/a%5cb'],
    ['encoded NUL', '/a%00'],
    ['encoded CR LF', '/a%0d%0ab'],
    ['encoded DEL', '/a%7f'],
    ['an encoded letter', '/%61dmin'],
    ['an encoded tilde', '/%7ea/b'],
    ['double encoding', '/a%252fb'],
    ['half an escape', '/a%2'],
    ['half an escape before a slash', '/a%2/b'],
    ['no hex', '/a%zz'],
    ['a lone percent', '/a%'],
    ['an escape cut by the query', '/a%2?f'],
    ['overlong UTF-8', '/a%c0%afb'],
    ['a surrogate in UTF-8', '/%ed%a0%80'],
    ['Latin-1', '/caf%e9'],
    ['NUL in the query', '/a?b=%00'],
    ['half an escape in the query', '/a?b=%2'],
    ['a device without an id', '/~/x'],
    ['a device in capitals', '/~Thermo/x'],
    ['a device with an escape', '/~a%20b/x'],
    ['a device with a long id', `/~${'a'.repeat(65)}/x`],
    ['a device that ends with a dot', '/~a./x'],
  ])('refuses %s', (_, target) => {
    expect(() => checkTarget(target, 4_096)).toThrow(expect.objectContaining({ code: 'SP_HTTP_TARGET' }));
  });

  it('is bounded', () => {
    expect(checkTarget(`/${'a'.repeat(9)}`, 10).path).toHaveLength(10);
    expect(() => checkTarget(`/${'a'.repeat(10)}`, 10)).toThrow(expect.objectContaining({ code: 'SP_HTTP_TARGET' }));
  });
});
