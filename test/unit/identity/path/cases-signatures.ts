/** Algorithms, keys and signatures, good, weak and forged. */
import { constants, generateKeyPairSync, sign } from 'node:crypto';
import { type Der, integer, octets, oid, sequence, spkiOf, tlv } from '../certificate-maker.ts';
import { type ChainCase, ISSUING } from './chain-case.ts';
import { type Algorithm, algorithmOf, authority, ECDSA, ec, type Keys, leaf } from './chain-maker.ts';

const NULL = octets('0500');
const HASH = {
  sha1: '1.3.14.3.2.26',
  sha256: '2.16.840.1.101.3.4.2.1',
  sha384: '2.16.840.1.101.3.4.2.2',
  sha512: '2.16.840.1.101.3.4.2.3',
} as const;
type Hash = keyof typeof HASH;

const ecdsa = (hash: string, arc: string): Algorithm => ({
  identifier: algorithmOf(arc),
  sign: (body, key) => sign(hash, body, key),
});
const rsa = (hash: string, arc: string, parameters: Der[] = [NULL]): Algorithm => ({
  identifier: algorithmOf(arc, ...parameters),
  sign: (body, key) => sign(hash, body, { key, padding: constants.RSA_PKCS1_PADDING }),
});
const hashOf = (hash: Hash) => algorithmOf(HASH[hash], NULL);
const pssParameters = (hash: Hash, mask: Hash, salt: number) =>
  sequence(
    tlv(0xa0, hashOf(hash)),
    tlv(0xa1, algorithmOf('1.2.840.113549.1.1.8', hashOf(mask))),
    tlv(0xa2, integer(salt.toString(16).padStart(2, '0'))),
  );
const pss = (hash: Hash, saltLength: number, parameters = pssParameters(hash, hash, saltLength)): Algorithm => ({
  identifier: algorithmOf('1.2.840.113549.1.1.10', parameters),
  sign: (body, key) => sign(hash, body, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength }),
});
const edwards: Algorithm = { identifier: algorithmOf('1.3.101.112'), sign: (body, key) => sign(null, body, key) };
const edwards448: Algorithm = { identifier: algorithmOf('1.3.101.113'), sign: (body, key) => sign(null, body, key) };

const rsaKeys = generateKeyPairSync('rsa', { modulusLength: 2048 });
const shortRsaKeys = generateKeyPairSync('rsa', { modulusLength: 1024 });
const cubicRsaKeys = generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent: 3 });
const ed25519 = generateKeyPairSync('ed25519');
const ed448 = generateKeyPairSync('ed448');
const curves = { 'P-256': ec('P-256'), 'P-384': ec('P-384'), 'P-521': ec('P-521') } as const;

/** A root with these keys that signs the leaf so. */
const signedWith = (keys: Keys, algorithm: Algorithm, publicKey?: Der) => () => {
  const root = authority('Signer', { keys, algorithm, ...(publicKey && { publicKey }) });
  return { leaf: leaf(root, { algorithm }), via: [], trust: [root] };
};
/** A good root, and a leaf with these keys. */
const heldBy = (keys: Keys, publicKey?: Der) => () => ({
  leaf: leaf(ISSUING, { keys, ...(publicKey && { publicKey }) }),
});

const ECDSA_ARCS = [
  ['sha256', '1.2.840.10045.4.3.2'],
  ['sha384', '1.2.840.10045.4.3.3'],
  ['sha512', '1.2.840.10045.4.3.4'],
] as const;
const RSA_ARCS = [
  ['sha256', '1.2.840.113549.1.1.11'],
  ['sha384', '1.2.840.113549.1.1.12'],
  ['sha512', '1.2.840.113549.1.1.13'],
] as const;
const rule = '4.1.1.2';

/** SubjectPublicKeyInfo of the same RSA key under id-RSASSA-PSS. */
const pssKey = (...parameters: Der[]) => {
  const pkcs1 = rsaKeys.publicKey.export({ type: 'pkcs1', format: 'der' });
  return sequence(algorithmOf('1.2.840.113549.1.1.10', ...parameters), tlv(0x03, octets('00'), pkcs1));
};
const compressed = (keys: Keys): Der => {
  const spki = Buffer.from(spkiOf(keys.publicKey));
  const point = spki.subarray(-65);
  const sign = (point[64] as number) & 1 ? '03' : '02';
  return sequence(
    algorithmOf('1.2.840.10045.2.1', oid('1.2.840.10045.3.1.7')),
    tlv(0x03, octets('00'), octets(sign), point.subarray(1, 33)),
  );
};
const offCurve = (keys: Keys): Der => {
  const spki = Buffer.from(spkiOf(keys.publicKey));
  spki[spki.length - 1] = (spki[spki.length - 1] as number) ^ 1;
  return spki;
};
const giant: Der = sequence(
  algorithmOf('1.2.840.113549.1.1.1', NULL),
  tlv(0x03, octets('00'), sequence(tlv(0x02, octets('00'), Buffer.alloc(1024, 0xc1)), integer('010001'))),
);

export const SIGNATURES: readonly ChainCase[] = [
  ...Object.entries(curves).flatMap(([curve, keys]) =>
    ECDSA_ARCS.map(
      ([hash, arc]): ChainCase => ({
        name: `${curve} with ${hash}`,
        rule,
        says: 'accepted',
        chain: signedWith(keys, ecdsa(hash, arc)),
      }),
    ),
  ),
  { name: 'Ed25519', rule, says: 'accepted', chain: signedWith(ed25519, edwards) },
  ...RSA_ARCS.map(
    ([hash, arc]): ChainCase => ({
      name: `RSA PKCS #1 v1.5 with ${hash}`,
      rule,
      says: 'accepted',
      chain: signedWith(rsaKeys, rsa(hash, arc)),
    }),
  ),
  ...(['sha256', 'sha384', 'sha512'] as const).map(
    (hash): ChainCase => ({
      name: `RSA PSS with ${hash}`,
      rule,
      says: 'accepted',
      chain: signedWith(rsaKeys, pss(hash, Number(hash.slice(3)) / 8)),
    }),
  ),
  {
    name: 'RSA without NULL',
    rule,
    says: 'accepted',
    chain: signedWith(rsaKeys, rsa('sha256', '1.2.840.113549.1.1.11', [])),
  },
  { name: 'a PSS key', rule, says: 'accepted', chain: signedWith(rsaKeys, pss('sha256', 32), pssKey()) },
  {
    name: 'a PSS key bound to its parameters',
    rule,
    says: 'accepted',
    chain: signedWith(rsaKeys, pss('sha256', 32), pssKey(pssParameters('sha256', 'sha256', 32))),
  },
  {
    name: 'a PSS key bound to other parameters',
    rule,
    says: 'signature-invalid',
    chain: signedWith(rsaKeys, pss('sha256', 32), pssKey(pssParameters('sha384', 'sha384', 48))),
  },
  {
    name: 'a PSS key that signed with PKCS #1 v1.5',
    rule,
    says: 'signature-invalid',
    chain: signedWith(rsaKeys, rsa('sha256', '1.2.840.113549.1.1.11'), pssKey()),
  },
  { name: 'a P-521 leaf', rule, says: 'accepted', chain: heldBy(curves['P-521']) },
  { name: 'an RSA leaf', rule, says: 'accepted', chain: heldBy(rsaKeys) },
  { name: 'an Ed25519 leaf', rule, says: 'accepted', chain: heldBy(ed25519) },

  {
    name: 'SHA-1 with ECDSA',
    rule,
    says: 'algorithm-refused',
    chain: onlyLeaf(curves['P-256'], ecdsa('sha1', '1.2.840.10045.4.1')),
  },
  {
    name: 'SHA-1 with RSA',
    rule,
    says: 'algorithm-refused',
    chain: onlyLeaf(rsaKeys, rsa('sha1', '1.2.840.113549.1.1.5')),
  },
  {
    name: 'MD5 with RSA',
    rule,
    says: 'algorithm-refused',
    chain: onlyLeaf(rsaKeys, rsa('md5', '1.2.840.113549.1.1.4')),
  },
  {
    name: 'SHA-1 in an intermediate',
    rule,
    says: 'algorithm-refused',
    chain: () => {
      const root = authority('Old root', { keys: curves['P-384'] });
      const weak = authority('Weak', { issuer: root, algorithm: ecdsa('sha1', '1.2.840.10045.4.1') });
      return { leaf: leaf(weak), via: [weak], trust: [root] };
    },
  },
  {
    name: 'SHA-1 in a root’s signature of itself, which nobody needs',
    rule: '6.1.1 (d)',
    says: 'accepted',
    chain: () => {
      const root = authority('Old root', { algorithm: ecdsa('sha1', '1.2.840.10045.4.1') });
      return { leaf: leaf(root), via: [], trust: [root] };
    },
  },
  {
    name: 'PSS with SHA-1',
    rule,
    says: 'algorithm-refused',
    chain: onlyLeaf(rsaKeys, pss('sha1', 20, sequence())),
  },
  {
    name: 'PSS with SHA-256 and a mask of SHA-1',
    rule,
    says: 'algorithm-refused',
    chain: onlyLeaf(rsaKeys, pss('sha256', 32, pssParameters('sha256', 'sha1', 32))),
  },
  {
    name: 'SHA-224',
    rule,
    says: 'algorithm-refused',
    differs: 'no other curves and algorithms',
    chain: onlyLeaf(curves['P-256'], ecdsa('sha224', '1.2.840.10045.4.3.1')),
  },
  {
    name: 'RSA of 1024 bits',
    rule,
    says: 'algorithm-refused',
    chain: signedWith(shortRsaKeys, rsa('sha256', '1.2.840.113549.1.1.11')),
  },
  { name: 'an RSA leaf of 1024 bits', rule, says: 'algorithm-refused', chain: heldBy(shortRsaKeys) },
  {
    name: 'an RSA leaf of 8192 bits',
    rule,
    says: 'algorithm-refused',
    differs: 'RSA of 2048 to 4096 bits, exponent from 65537',
    chain: heldBy(rsaKeys, giant),
  },
  {
    name: 'RSA with exponent 3',
    rule,
    says: 'algorithm-refused',
    differs: 'RSA of 2048 to 4096 bits, exponent from 65537',
    chain: heldBy(cubicRsaKeys),
  },
  {
    name: 'P-224',
    rule,
    says: 'algorithm-refused',
    differs: 'no other curves and algorithms',
    chain: heldBy(ec('secp224r1')),
  },
  {
    name: 'secp256k1',
    rule,
    says: 'algorithm-refused',
    differs: 'no other curves and algorithms',
    chain: signedWith(ec('secp256k1'), ECDSA),
  },
  {
    name: 'Ed448',
    rule,
    says: 'algorithm-refused',
    differs: 'no other curves and algorithms',
    chain: signedWith(ed448, edwards448),
  },
  {
    name: 'a compressed point',
    rule,
    says: 'algorithm-refused',
    differs: 'strict encoding',
    chain: heldBy(curves['P-256'], compressed(curves['P-256'])),
  },
  {
    name: 'an RSA signature that calls itself ECDSA',
    rule,
    says: 'signature-invalid',
    chain: onlyLeaf(rsaKeys, {
      ...rsa('sha256', '1.2.840.113549.1.1.11'),
      identifier: algorithmOf('1.2.840.10045.4.3.2'),
    }),
  },
  {
    name: 'an ECDSA signature that calls itself Ed25519',
    rule,
    says: 'signature-invalid',
    chain: onlyLeaf(curves['P-256'], { ...ECDSA, identifier: algorithmOf('1.3.101.112') }),
  },
  {
    name: 'a leaf whose point is off its curve',
    rule,
    says: 'certificate-malformed',
    chain: heldBy(curves['P-256'], offCurve(curves['P-256'])),
  },
  {
    name: 'an issuer whose point is off its curve',
    rule,
    says: 'signature-invalid',
    chain: signedWith(curves['P-256'], ECDSA, offCurve(curves['P-256'])),
  },
  {
    name: 'a forged signature',
    rule: '6.1.3 (a) (1)',
    says: 'signature-invalid',
    chain: () => ({ leaf: leaf(ISSUING, { forge: true }) }),
  },
  {
    name: 'a forged signature of an intermediate',
    rule: '6.1.3 (a) (1)',
    says: 'signature-invalid',
    chain: () => {
      const root = authority('Root of forged');
      const forged = authority('Forged', { issuer: root, forge: true });
      return { leaf: leaf(forged), via: [forged], trust: [root] };
    },
  },
  {
    name: 'an algorithm inside that is not the one outside',
    rule: '4.1.1.2',
    says: 'certificate-malformed',
    chain: () => ({ leaf: leaf(ISSUING, { innerAlgorithm: algorithmOf('1.2.840.10045.4.3.3') }) }),
  },
  {
    name: 'ECDSA with parameters',
    rule: '4.1.1.2',
    says: 'certificate-malformed',
    differs: 'strict encoding',
    chain: onlyLeaf(curves['P-256'], { ...ECDSA, identifier: algorithmOf('1.2.840.10045.4.3.2', NULL) }),
  },
];

/** A root that is beyond doubt, and a leaf that it signed like that. */
function onlyLeaf(keys: Keys, algorithm: Algorithm) {
  return () => {
    const own: Algorithm = keys === rsaKeys ? rsa('sha256', '1.2.840.113549.1.1.11') : ECDSA;
    const root = authority('Signer', { keys, algorithm: own });
    return { leaf: leaf(root, { algorithm }), via: [], trust: [root] };
  };
}
