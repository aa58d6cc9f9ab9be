/** `/.well-known/core` (RFC 6690), and which addresses are groups. */
import { describe, expect, it } from 'vitest';
import { CODE } from '../../../src/coap/codes.ts';
import { answerWellKnownCore, filterLinks, formatLinks } from '../../../src/coap/link-format.ts';
import { isMulticastAddress } from '../../../src/coap/multicast.ts';
import { words } from './rig.ts';

const links = [
  { path: '/sensors/temp', resourceTypes: ['temperature-c', 'x'], interfaces: ['sensor'], observable: true },
  { path: '/sensors/light', resourceTypes: ['light-lux'], contentFormats: [0, 50], maxSizeBytes: 90 },
  { path: '/a"b>', title: 'say "hi"\r\n\\' },
];

describe('links', () => {
  it('are written with their attributes, and nothing in them ends a value early', () => {
    expect(formatLinks(links)).toBe(
      '</sensors/temp>;rt="temperature-c x";if="sensor";obs,' +
        '</sensors/light>;rt="light-lux";ct="0 50";sz=90,' +
        '</a%22b%3E>;title="say \\"hi\\"\\\\"',
    );
    expect(formatLinks([])).toBe('');
  });

  it.each([
    ['rt=light-lux', ['/sensors/light']],
    ['rt=temp*', ['/sensors/temp']],
    ['rt=x', ['/sensors/temp']],
    ['href=/sensors/*', ['/sensors/temp', '/sensors/light']],
    ['ct=50', ['/sensors/light']],
    ['sz=90', ['/sensors/light']],
    ['obs=*', ['/sensors/temp']],
    ['title=no', []],
    ['unknown=1', []],
    ['nofilter', ['/sensors/temp', '/sensors/light', '/a"b>']],
  ])('filter %s (RFC 6690 section 4.1)', (query, paths) => {
    expect(filterLinks(links, query).map(({ path }) => path)).toEqual(paths);
  });

  it('GET alone, in link format alone', () => {
    const ask = (method: 'GET' | 'PUT', accept?: number) =>
      answerWellKnownCore({ method, accept, queries: ['rt=light*'] }, links);
    expect(ask('GET')).toMatchObject({ code: CODE.content, contentFormat: 40 });
    expect(words(ask('GET', 40).payload ?? new Uint8Array(0))).toContain('light');
    expect(ask('GET', 50).code).toBe(CODE.notAcceptable);
    expect(ask('PUT').code).toBe(CODE.methodNotAllowed);
  });
});

describe('groups', () => {
  it.each([
    '224.0.1.187',
    '239.255.255.255',
    '255.255.255.255',
    'ff02::fd',
    '[FF05::FD]',
    'ff02::1%eth0',
    '::ffff:224.0.1.187',
    '::ffff:e000:1bb',
  ])('%s is one', (address) => expect(isMulticastAddress(address)).toBe(true));
  it.each([
    '127.0.0.1',
    '223.255.255.255',
    '240.0.0.1',
    '::1',
    'fe80::1',
    'ff.example',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    'fd00::e000:1',
  ])('%s is none', (address) => expect(isMulticastAddress(address)).toBe(false));
});
