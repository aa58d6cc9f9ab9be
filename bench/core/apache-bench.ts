/**
 * Load by `ab -k -E` of Debian's apache2-utils: one thread, closed loop, each connection a device's mTLS session that is kept.
 * It spends about 12 µs of its own core on a request, less than any gateway here; what its core had left is reported.
 */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { LOAD_CORE, type Workplace } from './children.ts';
import type { DeviceFiles } from './gateway.ts';

export interface LoadResult {
  readonly requests: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export interface ApacheBenchOptions {
  readonly url: string;
  /** Absent: plain HTTP. */
  readonly device?: DeviceFiles;
  readonly body: string;
  readonly requests: number;
  readonly connections: number;
  readonly core?: number | string;
}

const MAX_OUTPUT_BYTES = 1_048_576;
const TIMEOUT_MS = 300_000;

/** Throws unless every request was answered with a 2xx. */
export async function apacheBench(workplace: Workplace, options: ApacheBenchOptions): Promise<LoadResult> {
  const { url, device, body, requests, connections, core = LOAD_CORE } = options;
  const percentiles = workplace.path('ab.csv');
  const words = ['-q', '-k', '-c', String(connections), '-n', String(requests), '-e', percentiles];
  const { stdout } = await promisify(execFile)(
    'taskset',
    [
      '-c',
      String(core),
      'ab',
      ...words,
      ...(device ? ['-E', device.both] : []),
      '-p',
      body,
      '-T',
      'application/json',
      url,
    ],
    { maxBuffer: MAX_OUTPUT_BYTES, timeout: TIMEOUT_MS },
  );
  const figure = (name: string) => Number(new RegExp(`^${name}:\\s+([\\d.]+)`, 'm').exec(stdout)?.[1] ?? 0);
  const complete = figure('Complete requests');
  const bad = figure('Failed requests') + figure('Non-2xx responses') + figure('Write errors');
  if (complete !== requests || bad !== 0)
    throw new Error(`of ${requests} requests to ${url} ${complete} were answered, ${bad} of them badly:\n${stdout}`);
  const rows = readFileSync(percentiles, 'utf8').split('\n');
  const at = (share: number) => Number(rows.find((row) => row.startsWith(`${share},`))?.split(',')[1]);
  return { requests, perSecond: figure('Requests per second'), p50Ms: at(50), p99Ms: at(99) };
}
