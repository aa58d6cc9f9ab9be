/**
 * Records of one association: seals with the next sequence number, opens after the replay check (RFC 6347 4.1, RFC 9146 4 and 5).
 * Only epochs 0 (in the clear) and 1 exist, since there is no renegotiation.
 */
import { type DirectionKey, open, seal } from '../crypto/aead.ts';
import { recordOverheadBytes, type Suite } from '../crypto/suites.ts';
import type { Association } from '../session/association.ts';
import type { SecretSlab } from '../session/slab.ts';
import type { DropReason } from '../stats.ts';
import { keyBytes } from '../wire/bytes.ts';
import { plainRecord, type RawRecord, RECORD_HEADER_BYTES, writeRecordHeader } from '../wire/record.ts';
import { ContentType } from '../wire/registry.ts';
import { isFresh } from './replay.ts';

/** RFC 6347 4.1: 48 bits, never wrapped. */
export const MAX_SEQUENCE = 2 ** 48 - 1;

function writeKey(slab: SecretSlab, association: Association, suite: Suite): DirectionKey {
  const server = association.role === 'server';
  return {
    key: slab.view(association.slot, server ? 'serverKey' : 'clientKey', suite.keyBytes),
    iv: slab.view(association.slot, server ? 'serverIv' : 'clientIv', suite.saltBytes),
  };
}

function readKey(slab: SecretSlab, association: Association, suite: Suite): DirectionKey {
  const server = association.role === 'server';
  return {
    key: slab.view(association.slot, server ? 'clientKey' : 'serverKey', suite.keyBytes),
    iv: slab.view(association.slot, server ? 'clientIv' : 'serverIv', suite.saltBytes),
  };
}

/** Bytes a record of this epoch is longer than its plaintext. */
export function overheadBytes(association: Association, epoch: 0 | 1): number {
  if (epoch === 0 || association.suite === undefined) return RECORD_HEADER_BYTES;
  const cid = association.peerCid?.length ?? 0;
  return RECORD_HEADER_BYTES + recordOverheadBytes(association.suite) + (cid > 0 ? cid + 1 : 0);
}

/** A record ready to send; undefined when the sequence numbers are used up. */
export function sealRecord(
  slab: SecretSlab,
  association: Association,
  type: number,
  epoch: 0 | 1,
  plaintext: Uint8Array,
): Uint8Array | undefined {
  if (epoch === 0) return plainRecord(type, association.plainSequence++, plaintext);
  const { suite, peerCid } = association;
  if (suite === undefined || association.sequence > MAX_SEQUENCE) return undefined;
  const sequence = association.sequence++;
  const cid = peerCid !== undefined && peerCid.length > 0 ? keyBytes(peerCid) : undefined;
  let inner = plaintext;
  if (cid !== undefined) {
    // RFC 9146 4: DTLSInnerPlaintext is content, real type, zeros; we add no zeros.
    inner = new Uint8Array(plaintext.length + 1);
    inner.set(plaintext);
    inner[plaintext.length] = type;
  }
  const outer = cid === undefined ? type : ContentType.tls12Cid;
  const length = inner.length + recordOverheadBytes(suite);
  const record = new Uint8Array(RECORD_HEADER_BYTES + (cid?.length ?? 0) + length);
  const at = writeRecordHeader(record, outer, epoch, sequence, cid, length);
  seal(suite, writeKey(slab, association, suite), outer, epoch, sequence, cid, inner, record, at);
  return record;
}

export interface OpenedRecord {
  readonly type: number;
  readonly plaintext: Uint8Array;
}

/** Opens a record of epoch 1. The caller marks the window and counts failures. */
export function openRecord(slab: SecretSlab, association: Association, record: RawRecord): OpenedRecord | DropReason {
  const { suite } = association;
  if (suite === undefined) return 'epoch-unknown';
  if (record.fragment.length < recordOverheadBytes(suite)) return 'record-too-short';
  if (!isFresh(association, record.sequence)) return 'record-replayed';
  const key = readKey(slab, association, suite);
  const inner = open(suite, key, record.type, record.epoch, record.sequence, record.cid, record.fragment);
  if (inner === undefined) return 'record-unauthentic';
  if (record.cid === undefined) return { type: record.type, plaintext: inner };
  // Zeros are stripped only now that the record is authentic.
  let end = inner.length - 1;
  while (end >= 0 && inner[end] === 0) end -= 1;
  if (end < 0) return 'inner-plaintext-empty';
  return { type: inner[end] as number, plaintext: inner.subarray(0, end) };
}
