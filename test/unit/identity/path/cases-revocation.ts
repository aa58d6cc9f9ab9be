/** Revocation lists: who signed them, when, whom they cover, and what is outside the subset. */

import { sign } from 'node:crypto';
import {
  extension,
  integer,
  keyUsage,
  name,
  octets,
  sequence,
  TRUE,
  text,
  tlv,
  utcTime,
  utf8,
} from '../certificate-maker.ts';
import { type Chain, type ChainCase, ISSUING, ROOT } from './chain-case.ts';
import {
  algorithmOf,
  authority,
  authorityKeyId,
  type CrlWish,
  commonName,
  ec,
  keyId,
  leaf,
  NONE,
  reasonCode,
  revocationList,
  revoked,
} from './chain-maker.ts';

const SERIAL = integer('0123456789');
const OTHER_SERIAL = integer('0123456788');
const ROOT_LIST = revocationList(ROOT);
const number = extension('2.5.29.20', integer('01'));
const ids = authorityKeyId(keyId(ISSUING.keys));

/** The device's issuer lists so; the root lists nobody. */
const listed =
  (wish: CrlWish, more: readonly Uint8Array[] = [ROOT_LIST]) =>
  (): Chain => ({
    leaf: leaf(ISSUING, { serial: SERIAL }),
    crls: [revocationList(ISSUING, wish), ...more],
  });
const distribution = (critical: Uint8Array, ...content: Uint8Array[]) =>
  extension('2.5.29.28', sequence(...content), critical);
const subset = 'revocation lists of the subset';

type Row = readonly [
  name: string,
  rule: string,
  says: ChainCase['says'],
  chain: () => Chain,
  differs?: ChainCase['differs'],
];
const cases = (rows: readonly Row[]): ChainCase[] =>
  rows.map(([title, rule, says, chain, differs]) => ({ name: title, rule, says, chain, ...(differs && { differs }) }));

export const REVOCATION: readonly ChainCase[] = cases([
  ['nobody is revoked', '6.3.3', 'accepted', listed({})],
  [
    'somebody else is revoked',
    '6.3.3',
    'accepted',
    listed({ entries: [revoked(OTHER_SERIAL), revoked(integer('01'))] }),
  ],
  ['the leaf is revoked', '6.3.3', 'revoked', listed({ entries: [revoked(OTHER_SERIAL), revoked(SERIAL)] })],
  ['the leaf is revoked, with a reason', '5.3.1', 'revoked', listed({ entries: [revoked(SERIAL, reasonCode(1))] })],
  ['the leaf is on hold', '5.3.1', 'revoked', listed({ entries: [revoked(SERIAL, reasonCode(6))] })],
  [
    'the intermediate is revoked',
    '6.3.3',
    'revoked',
    () => {
      const issuing = authority('Bad', { issuer: ROOT, serial: SERIAL });
      return {
        leaf: leaf(issuing),
        via: [issuing],
        crls: [revocationList(issuing), revocationList(ROOT, { entries: [revoked(SERIAL)] })],
      };
    },
  ],
  [
    'the same number under another issuer',
    '6.3.3',
    'accepted',
    () => ({
      leaf: leaf(ISSUING, { serial: SERIAL }),
      crls: [revocationList(ISSUING), revocationList(ROOT, { entries: [revoked(SERIAL)] })],
    }),
  ],
  ['no list of the leaf’s issuer', '6.3.3', 'revocation-unknown', () => ({ leaf: leaf(ISSUING), crls: [ROOT_LIST] })],
  ['no list of the root', '6.3.3', 'revocation-unknown', listed({}, [])],
  ['a list that ended', '6.3.3 (a)', 'revocation-unknown', listed({ nextUpdate: utcTime('291215000000Z') })],
  ['a list that has not begun', '6.3.3 (a)', 'revocation-unknown', listed({ thisUpdate: utcTime('300115000000Z') })],
  [
    'a list that ended, and a current one',
    '6.3.3',
    'accepted',
    listed({ nextUpdate: utcTime('291215000000Z') }, [ROOT_LIST, revocationList(ISSUING)]),
  ],
  [
    'a revocation on a list that ended',
    '6.3.3',
    'revoked',
    listed({ nextUpdate: utcTime('291215000000Z'), entries: [revoked(SERIAL)] }),
  ],
  [
    'a revocation on a list that ended, and a current one without it',
    '6.3.3',
    'revoked',
    listed({ nextUpdate: utcTime('291215000000Z'), entries: [revoked(SERIAL)] }, [ROOT_LIST, revocationList(ISSUING)]),
    'an old list still tells',
  ],
  [
    'two current lists, one with the revocation',
    '6.3.3',
    'revoked',
    listed({ thisUpdate: utcTime('291220000000Z'), entries: [revoked(SERIAL)] }, [ROOT_LIST, revocationList(ISSUING)]),
  ],
  [
    'a list signed by somebody else',
    '6.3.3 (g)',
    'revocation-unknown',
    () => ({
      leaf: leaf(ISSUING),
      crls: [ROOT_LIST, revocationList({ ...ISSUING, keys: ec() }, { extensions: [number] })],
    }),
  ],
  ['a list with a forged signature', '6.3.3 (g)', 'revocation-unknown', listed({ forge: true })],
  ['a list of another name', '6.3.3 (b)', 'revocation-unknown', listed({ issuerName: commonName('Nobody') })],
  [
    'a list whose issuer is written in capitals',
    '7.1',
    'accepted',
    listed({ issuerName: name(['2.5.4.3', text(0x13, 'ISSUING')]) }),
  ],
  [
    'an issuer that may not sign lists',
    '6.3.3 (f)',
    'revocation-unknown',
    () => {
      const issuing = authority('No lists', { issuer: ROOT, usage: keyUsage('0204') });
      return { leaf: leaf(issuing), via: [issuing], crls: [ROOT_LIST, revocationList(issuing)] };
    },
  ],
  [
    'an issuer without key usage',
    '6.3.3 (f)',
    'accepted',
    () => {
      const issuing = authority('No usage', { issuer: ROOT, usage: null });
      return { leaf: leaf(issuing), via: [issuing], crls: [ROOT_LIST, revocationList(issuing)] };
    },
  ],
  [
    'a renewed authority that signs lists with its old key',
    '6.3.3 (f)',
    'accepted',
    () => {
      const renewed = authority('Root', { issuer: ROOT });
      return { leaf: leaf(renewed), via: [renewed], crls: [ROOT_LIST] };
    },
  ],
  ['a list of version 1', '5.1.2.1', 'crl-unsupported', listed({ version: NONE, extensions: [] }), subset],
  ['a list without nextUpdate', '5.1.2.5', 'crl-unsupported', listed({ nextUpdate: NONE }), subset],
  [
    'a delta list',
    '5.2.4',
    'crl-unsupported',
    listed({ extensions: [ids, number, extension('2.5.29.27', integer('01'), TRUE)] }),
    subset,
  ],
  [
    'a delta list beside a complete one',
    '5.2.4',
    'crl-unsupported',
    listed({ extensions: [ids, number, extension('2.5.29.27', integer('01'), TRUE)] }, [
      ROOT_LIST,
      revocationList(ISSUING),
    ]),
    subset,
  ],
  [
    'an issuing distribution point',
    '5.2.5',
    'crl-unsupported',
    listed({ extensions: [ids, number, distribution(TRUE, octets('8101ff'))] }),
    subset,
  ],
  [
    'an issuing distribution point that is not critical',
    '5.2.5',
    'crl-unsupported',
    listed({ extensions: [ids, number, distribution(NONE, octets('8101ff'))] }),
    subset,
  ],
  [
    'an indirect list',
    '5.2.5',
    'crl-unsupported',
    listed({ extensions: [ids, number, distribution(TRUE, octets('8401ff'))] }),
  ],
  [
    'an entry of another issuer',
    '5.3.3',
    'crl-unsupported',
    listed({ entries: [revoked(OTHER_SERIAL, extension('2.5.29.29', sequence(tlv(0xa4, ROOT.name)), TRUE))] }),
    subset,
  ],
  ['removeFromCRL', '5.3.1', 'crl-unsupported', listed({ entries: [revoked(SERIAL, reasonCode(8))] }), subset],
  [
    'an unknown critical extension of a list',
    '5.2',
    'crl-unsupported',
    listed({ extensions: [ids, number, extension('1.2.3.4', octets('0500'), TRUE)] }),
  ],
  [
    'an unknown extension of a list',
    '5.2',
    'accepted',
    listed({ extensions: [ids, number, extension('1.2.3.4', octets('0500'))] }),
  ],
  [
    'an unknown critical extension of an entry',
    '5.3',
    'crl-unsupported',
    listed({ entries: [revoked(OTHER_SERIAL, extension('1.2.3.4', octets('0500'), TRUE))] }),
  ],
  ['an extension of a list twice', '5.2', 'crl-malformed', listed({ extensions: [ids, number, number] }), subset],
  [
    'a list with SHA-1',
    '5.1.1.2',
    'revocation-unknown',
    listed({
      algorithm: { identifier: algorithmOf('1.2.840.10045.4.1'), sign: (body, key) => sign('sha1', body, key) },
    }),
    subset,
  ],
  ['a list that is none', '5.1', 'crl-malformed', listed({}, [ROOT_LIST, octets('3003020101')]), 'no such bound'],
  [
    'half a list of somebody else',
    '5.1',
    'crl-malformed',
    listed({}, [ROOT_LIST, revocationList(authority('Elsewhere')).subarray(0, 90)]),
    'no such bound',
  ],
  [
    'a list with two algorithms',
    '5.1.1.2',
    'crl-malformed',
    () => {
      const list = Buffer.from(revocationList(ISSUING));
      list[list.lastIndexOf(Buffer.from('2a8648ce3d0403', 'hex')) + 7] = 3;
      return { leaf: leaf(ISSUING), crls: [ROOT_LIST, list] };
    },
  ],
  [
    'a list longer than 64 KiB',
    '5.1',
    'accepted',
    () => ({ leaf: leaf(ISSUING, { serial: SERIAL }), crls: [ROOT_LIST, longList(false)] }),
  ],
  [
    'a revocation at the end of a list longer than 64 KiB',
    '5.1',
    'revoked',
    () => ({ leaf: leaf(ISSUING, { serial: SERIAL }), crls: [ROOT_LIST, longList(true)] }),
  ],
  [
    'a leaf that is trusted itself needs no list',
    '6.3',
    'accepted',
    () => {
      const own = leaf(undefined, { subject: name(['2.5.4.3', utf8('own')]) });
      return { leaf: own, via: [], trust: [own], crls: [ROOT_LIST] };
    },
    'no list for what is trusted',
  ],
]);

function longList(withSerial: boolean): Buffer {
  const entries = Array.from({ length: 3_000 }, (_, index) =>
    revoked(integer(`01${(0x100000 + index).toString(16)}aa`)),
  );
  return revocationList(ISSUING, { entries: withSerial ? [...entries, revoked(SERIAL)] : entries });
}
