/**
 * Bodies of ledger records, written by hand: as fast as JSON.stringify (bench/ledger.ts), but with these fields and no
 * others, and every text as printable ASCII of bounded length, so that no device can forge a line, hide text from a reader
 * or drive a terminal. The escapes are JSON's own: parsing gives the text back.
 */
import type { DecisionRecord, OutcomeRecord } from '../exchange/gate.ts';

/** Longest text in a record, UTF-16 units. What is longer is cut and ends with an ellipsis. */
export const MAX_TEXT = 512;

/** Most reasons in a record. */
export const MAX_REASONS = 32;

const PLAIN = /^[ !#-[\]-~]*$/;

/** A JSON string: everything but printable ASCII is escaped, C0, C1, bidi controls and line separators with it. */
export function quoted(text: string): string {
  if (text.length <= MAX_TEXT && PLAIN.test(text)) return `"${text}"`;
  return escaped(text.length > MAX_TEXT ? cut(text) : text);
}

function cut(text: string): string {
  const splitsPair = (text.charCodeAt(MAX_TEXT - 2) & 0xfc00) === 0xd800;
  return `${text.slice(0, MAX_TEXT - (splitsPair ? 2 : 1))}\u2026`;
}

function escaped(text: string): string {
  let out = '"';
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit === 0x22 || unit === 0x5c) out += `\\${text[at]}`;
    else if (unit >= 0x20 && unit <= 0x7e) out += text[at];
    else out += `\\u${unit.toString(16).padStart(4, '0')}`;
  }
  return `${out}"`;
}

/** JSON has no NaN or Infinity; -1 stands for "unknown" wherever the ledger has a number. */
export function numeral(value: number): string {
  return Number.isFinite(value) ? String(value) : '-1';
}

export function decisionBody(record: DecisionRecord): string {
  const { device, peer, action, obligations } = record;
  let body = `,"kind":"decision","time":${numeral(record.time)},"decision":${quoted(record.decision)}`;
  body += `,"verdict":${quoted(record.verdict)},"reasons":${list(record.reasons)},"revision":${quoted(record.revision)}`;
  if (device) {
    body += `,"device":{"id":${quoted(device.id)},"segment":${quoted(device.segment)},"state":${quoted(device.state)}}`;
  }
  body += `,"peer":{"address":${quoted(peer.address)},"key":${quoted(peer.key)},"serial":${quoted(peer.serial)}}`;
  body += `,"action":{"protocol":${quoted(action.protocol)},"verb":${quoted(action.verb)}`;
  body += `,"resource":${quoted(action.resource)},"direction":${quoted(action.direction)}`;
  body += `,"contentType":${quoted(action.contentType)},"bytes":${numeral(action.bytes)}`;
  if (action.targetDevice !== undefined) body += `,"targetDevice":${quoted(action.targetDevice)}`;
  body += '}';
  if (obligations) {
    body += `,"obligations":{"route":${quoted(obligations.route)},"upstream":${quoted(obligations.upstream)}`;
    if (obligations.privacy !== undefined) body += `,"privacy":${quoted(obligations.privacy)}`;
    if (obligations.stream) body += ',"stream":true';
    if (obligations.rate) {
      const { bucket, perSecond, burst } = obligations.rate;
      body += `,"rate":{"bucket":${quoted(bucket)},"perSecond":${numeral(perSecond)},"burst":${numeral(burst)}}`;
    }
    if (obligations.quiet) body += ',"quiet":true';
    body += '}';
  }
  return `${body},"tookMicros":${numeral(record.tookMicros)}`;
}

function list(reasons: readonly string[]): string {
  if (reasons.length === 0) return '[]';
  return `[${reasons.slice(0, MAX_REASONS).map(quoted).join(',')}]`;
}

export function outcomeBody(record: OutcomeRecord): string {
  return `,"kind":"outcome","time":${numeral(record.time)},"decision":${quoted(record.decision)},"fault":${quoted(record.fault)}`;
}

/** Why a file was begun. `failure`: the disk refused a write, and the file before was cut back to `bytes`. */
export type FileReason = 'first' | 'rotation' | 'failure';

export interface Header {
  readonly format: number;
  readonly time: number;
  readonly gateway: string;
  readonly stream: string;
  readonly reason: FileReason;
  /** The file before, and how long it was when it was sealed. */
  readonly previous?: { readonly file: string; readonly bytes: number };
}

export function headerBody(header: Header): string {
  let body = `,"kind":"header","format":${header.format},"time":${numeral(header.time)}`;
  body += `,"gateway":${quoted(header.gateway)},"stream":${quoted(header.stream)},"reason":${quoted(header.reason)}`;
  if (header.previous) body += `,"previous":{"file":${quoted(header.previous.file)},"bytes":${header.previous.bytes}}`;
  return body;
}

/** Bytes that a crash left at the end of a file, and where they are kept. */
export interface SetAside {
  readonly file: string;
  readonly bytes: number;
  readonly kept: string;
}

export function recoveredBody(time: number, { file, bytes, kept }: SetAside): string {
  return `,"kind":"recovered","time":${numeral(time)},"file":${quoted(file)},"bytes":${bytes},"kept":${quoted(kept)}`;
}

/** A record of another stream that was on the disk: kept here, it shows when that stream is cut or taken away. */
export interface StreamHead {
  readonly stream: string;
  readonly seq: number;
  readonly hash: string;
}

export function anchorBody(time: number, heads: readonly StreamHead[]): string {
  const each = heads.map(({ stream, seq, hash }) => `{"stream":${quoted(stream)},"seq":${seq},"hash":${quoted(hash)}}`);
  return `,"kind":"anchor","time":${numeral(time)},"heads":[${each.join(',')}]`;
}

/** Outcomes that could not be kept while the disk refused or the queue was full: the loss is declared. */
export function lossBody(time: number, outcomes: number): string {
  return `,"kind":"loss","time":${numeral(time)},"outcomes":${outcomes}`;
}
