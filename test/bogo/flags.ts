/** Command line of the shim, as BoringSSL's runner gives it: `-name` or `-name value`. What is not listed here is not implemented. */

const SWITCHES = [
  'server',
  'dtls',
  'ipv6',
  'async',
  'no-ticket',
  'verify-peer',
  'verify-fail',
  'require-any-client-certificate',
  'shim-writes-first',
  'shim-shuts-down',
  'check-close-notify',
  'expect-session-miss',
  'expect-no-session',
  'expect-extended-master-secret',
  'expect-verify-result',
  'fallback-scsv',
  'implicit-handshake',
  'use-exporter-between-reads',
  'no-tls13',
  'use-custom-verify-callback',
  'debug',
] as const;

const VALUES = [
  'port',
  'shim-id',
  'resume-count',
  'cert-file',
  'key-file',
  'trust-cert',
  'min-version',
  'max-version',
  'expect-version',
  'cipher',
  'psk',
  'psk-identity',
  'host-name',
  'expect-server-name',
  'advertise-alpn',
  'select-alpn',
  'expect-alpn',
  'mtu',
  'read-size',
  'export-keying-material',
  'export-label',
  'export-context',
  'expect-total-renegotiations',
  'initial-timeout-duration-ms',
  'wait-for-debugger',
] as const;

export type Switch = (typeof SWITCHES)[number];
export type Value = (typeof VALUES)[number];

export interface Flags {
  has(name: Switch): boolean;
  value(name: Value): string | undefined;
}

/** Flags that name one connection: the first, and those that resume. */
const PREFIXES = { 'on-initial-': 'first', 'on-resume-': 'later', 'on-retry-': 'never' } as const;

/** @returns the flags of the first connection and of later ones, or the name of one that is not implemented. */
export function parseFlags(args: readonly string[]): { first: Flags; later: Flags } | { unknown: string } {
  const sets = { first: new Map<string, string>(), later: new Map<string, string>(), never: new Map<string, string>() };
  for (let at = 0; at < args.length; at++) {
    let name = (args[at] as string).replace(/^-/, '');
    let into: (keyof typeof sets)[] = ['first', 'later'];
    for (const [prefix, set] of Object.entries(PREFIXES)) {
      if (!name.startsWith(prefix)) continue;
      name = name.slice(prefix.length);
      into = [set];
    }
    let value = '';
    if ((VALUES as readonly string[]).includes(name)) value = args[++at] ?? '';
    else if (!(SWITCHES as readonly string[]).includes(name)) return { unknown: name };
    for (const set of into) sets[set].set(name, value);
  }
  const view = (set: Map<string, string>): Flags => ({ has: (name) => set.has(name), value: (name) => set.get(name) });
  return { first: view(sets.first), later: view(sets.later) };
}
