/**
 * Opens one connection to an upstream: TCP, and TLS unless the upstream is on loopback or its settings say in so many words
 * that the network between may read along. Nothing is written before the other side has proven who it is.
 */
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { Fault } from '../faults/fault.ts';
import type { UpstreamTls } from './tls.ts';

/** Calls back once: with a socket that may be written to, or with what prevented it. */
export type Dial = (done: (error: Error | null, socket: Socket | undefined) => void) => void;

/** The origin of an upstream, taken apart once. */
export interface Origin {
  readonly secure: boolean;
  /** Without brackets around an IPv6 address. */
  readonly host: string;
  readonly port: number;
  /** E.g. `https://ingest.example.com:8443`. */
  readonly url: string;
}

/**
 * @param url `https://host[:port]`; `http:` only to loopback or with `dangerouslyPlaintext`
 * Throws SP_CONFIG_INVALID: the configuration was checked already, so this is the second lock on the same door.
 */
export function parseOrigin(url: string, dangerouslyPlaintext: boolean): Origin {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  const bare = parsed !== undefined && parsed.pathname === '/' && parsed.search === '' && parsed.hash === '';
  if (!bare || parsed.username !== '' || parsed.password !== '' || !/^https?:$/.test(parsed.protocol)) {
    throw new Fault('SP_CONFIG_INVALID', 'The url of an upstream is more or less than https://host[:port].');
  }
  const secure = parsed.protocol === 'https:';
  if (!secure && !dangerouslyPlaintext && !isLoopback(parsed.hostname)) {
    throw new Fault('SP_CONFIG_INVALID', 'An upstream that is not on loopback must be https://.');
  }
  const port = parsed.port === '' ? (secure ? 443 : 80) : Number(parsed.port);
  return { secure, host: parsed.hostname.replace(/^\[|\]$/g, ''), port, url: parsed.origin };
}

/** How connections to `origin` are opened. `tls` belongs to an https origin and is refused for the other. */
export function dialler(origin: Origin, tls: UpstreamTls | undefined, connectTimeoutMs: number): Dial {
  if (origin.secure !== (tls !== undefined)) throw new Fault('SP_INTERNAL', 'TLS settings and scheme disagree.');
  const { host, port } = origin;
  return (done) => {
    const secured = tls && connectTls({ ...tls.options, host, port });
    const socket = secured ?? connectTcp({ host, port });
    let open = true;
    const finish = (error: Error | null) => {
      if (!open) return;
      open = false;
      clearTimeout(timer);
      if (error) socket.destroy();
      done(error, error ? undefined : socket);
    };
    const late = () => finish(new Fault('SP_UPSTREAM_UNREACHABLE', 'The connection was not made in time.'));
    const timer = setTimeout(late, connectTimeoutMs);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, TCP_KEEP_ALIVE_MS);
    // Stays for good: an error after `done` is told by `close`, but one that nobody hears would end the process.
    socket.on('error', (error) => finish((secured && tls?.refusalOf(error, secured)) ?? error));
    socket.once('close', () =>
      finish(new Fault('SP_UPSTREAM_UNREACHABLE', 'The upstream closed during the handshake.')),
    );
    socket.once(secured ? 'secureConnect' : 'connect', () => finish((secured && tls?.refusal(secured)) ?? null));
  };
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || (isIP(hostname) === 4 && hostname.startsWith('127.'));
}

/** Long before a firewall forgets an idle connection. */
const TCP_KEEP_ALIVE_MS = 60_000;
