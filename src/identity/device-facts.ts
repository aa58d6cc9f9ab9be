/** What an operator may say about a device, checked once before it is stored. Policy and logs may then trust the form. */
import { Fault } from '../faults/fault.ts';

export interface DeviceFacts {
  readonly segment: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly manufacturer?: string;
  readonly model?: string;
  readonly firmware?: string;
  /** Origin where the device itself can be reached: https, or http on loopback. */
  readonly address?: string;
}

/** The names of segments in sallyport.yaml. */
const SEGMENT = /^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/;
const LABEL = /^[a-z0-9](?:[a-z0-9._/-]{0,62}[a-z0-9])?$/;
/** Letters, marks, numbers, punctuation, symbols and plain spaces: no controls, no bidirectional marks, nothing unseen. */
const TEXT = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]{1,128}$/u;
const MAX_LABELS = 32;
const MAX_ADDRESS_LENGTH = 256;

/** Returns the facts, frozen, the address as an origin. Throws SP_DEVICE_FACT. */
export function checkedFacts(facts: DeviceFacts): DeviceFacts {
  const { segment, labels, manufacturer, model, firmware, address } = facts;
  if (!SEGMENT.test(segment)) {
    throw unfit('segment', 'a name has 1 to 64 lowercase letters, digits and inner hyphens');
  }
  return Object.freeze({
    segment,
    ...(labels !== undefined && { labels: checkedLabels(labels) }),
    ...(manufacturer !== undefined && { manufacturer: checkedText('manufacturer', manufacturer) }),
    ...(model !== undefined && { model: checkedText('model', model) }),
    ...(firmware !== undefined && { firmware: checkedText('firmware', firmware) }),
    ...(address !== undefined && { address: checkedAddress(address) }),
  });
}

function checkedLabels(labels: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const pairs = Object.entries(labels);
  if (pairs.length > MAX_LABELS) throw unfit('label', `a device has at most ${MAX_LABELS}`);
  for (const [name, value] of pairs) {
    if (!LABEL.test(name)) {
      throw unfit(
        'label',
        'its name has 1 to 64 lowercase letters, digits and inner dots, hyphens, underscores, slashes',
      );
    }
    checkedText(`label ${name}`, value);
  }
  return Object.freeze(Object.fromEntries(pairs));
}

function checkedText(what: string, text: string): string {
  if (!TEXT.test(text)) throw unfit(what, 'it has 1 to 128 visible characters');
  return text;
}

/** Only an origin: a path or a query here would be glued to what a peer asks for. */
function checkedAddress(address: string): string {
  const url = address.length <= MAX_ADDRESS_LENGTH && URL.canParse(address) ? new URL(address) : undefined;
  if (url === undefined || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw unfit('address', 'it is a URL such as https://10.0.3.17:443');
  }
  if (url.protocol === 'http:' && !isLoopback(url.hostname)) {
    throw unfit('address', 'http:// would carry device data in clear; it is accepted on loopback only');
  }
  const isOrigin = url.pathname === '/' && url.search === '' && url.hash === '' && !/[?#]/.test(address);
  if (!isOrigin || url.username !== '' || url.password !== '') {
    throw unfit('address', 'it has a scheme, a host and a port, nothing else');
  }
  return url.origin;
}

/** `hostname` as URL canonicalises it: octal and decimal spellings of an address are dotted quads by now. */
function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(hostname);
}

function unfit(what: string, rule: string): Fault {
  return new Fault('SP_DEVICE_FACT', `The ${what} cannot be used: ${rule}.`);
}
