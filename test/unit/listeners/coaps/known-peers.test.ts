import { expect, it } from 'vitest';
import { pskPeer } from '../../../../src/identity/bare-key.ts';
import { KnownPeers } from '../../../../src/listeners/coaps/known-peers.ts';

const key = new Uint8Array(32);
const peer = (name: string, digit: string) => pskPeer(name, digit.repeat(64), '10.0.0.1');

it('a proof is remembered by a principal of its own, and forgotten with its key', () => {
  const known = new KnownPeers();
  const [one, two] = [peer('a', '1'), peer('b', '2')];
  const principals = [known.remember(one), known.remember(two)];
  expect(new Set(principals).size).toBe(2);
  expect(known.remember(one)).toBe(principals[0]);
  expect(known.find(principals[0] as string)).toBe(one);
  expect(known.ofKeys([one.key, two.key, 'x'])).toEqual(principals);
  known.forget(principals[0] as string);
  expect(known.find(principals[0] as string)).toBeUndefined();
  expect(known.ofKeys([one.key, two.key])).toEqual([principals[1]]);
});

it('two certificates of one key are two principals', () => {
  const known = new KnownPeers();
  const one = peer('a', '1');
  const other = { ...one, serial: 'FF' };
  expect(known.remember(one)).not.toBe(known.remember(other));
  expect(known.ofKeys([one.key])).toHaveLength(2);
});

it('a handshake ends as the key that it began with, whatever was registered meanwhile', () => {
  const known = new KnownPeers();
  known.claim('10.0.0.1|5', 'probe-7', { fingerprint: 'old', key });
  // The device is removed and added anew under its identity while the holder of the old key takes its time.
  known.claim('10.0.0.2|5', 'probe-7', { fingerprint: 'new', key });
  expect(known.claimed('10.0.0.1|5', 'probe-7')).toBe('old');
  expect(known.claimed('10.0.0.1|5', 'probe-7')).toBeUndefined();
  expect(known.claimed('10.0.0.2|5', 'probe-8')).toBeUndefined();
  expect(known.claimed('10.0.0.3|5', 'probe-7')).toBeUndefined();
});

it('a flood of names and proofs is bounded, the oldest go', () => {
  const known = new KnownPeers();
  for (let n = 0; n < 5_000; n++) known.claim(`10.0.0.1|${n}`, 'a', { fingerprint: String(n), key });
  expect(known.claimed('10.0.0.1|0', 'a')).toBeUndefined();
  expect(known.claimed('10.0.0.1|4999', 'a')).toBe('4999');
  const first = known.remember(peer('a', '1'));
  for (let n = 0; n < 10_000; n++) known.remember({ ...peer('b', '2'), key: String(n).padStart(64, '0'), serial: '1' });
  expect(known.find(first)).toBeUndefined();
});
