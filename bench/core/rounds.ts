/** Rounds in which the compared take turns, so that whatever else the machine does meets all of them alike. */
import { readFileSync } from 'node:fs';
import { LOAD_CORE, SERVER_CORE } from './children.ts';
import type { Peer } from './nginx.ts';
import { cpuMicros, residentMib } from './process-usage.ts';
import { progress } from './progress.ts';
import { median } from './statistics.ts';

/** One round of one subject. */
export interface Round {
  readonly operations: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Of all its processes, per operation. */
  readonly cpuMicros: number;
  readonly residentMib: number;
  /** Share of the server's core, and of the load's, that anybody used; and of the server's core what others used. */
  readonly serverCore: number;
  readonly loadCore: number;
  readonly foreign: number;
}

export interface Work {
  readonly operations: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Runs `work` and accounts for what the peer's processes spent on it. */
export async function account(peer: Peer, work: () => Promise<Work>): Promise<Round> {
  const spent = () => peer.processes.reduce((sum, child) => sum + cpuMicros(child.pid), 0);
  const [before, server, load, began] = [spent(), busyMicros(SERVER_CORE), busyMicros(LOAD_CORE), performance.now()];
  const done = await work();
  const elapsed = (performance.now() - began) * 1_000;
  const used = spent() - before;
  const serverBusy = busyMicros(SERVER_CORE) - server;
  return {
    ...done,
    cpuMicros: used / done.operations,
    residentMib: peer.processes.reduce((sum, child) => sum + residentMib(child.pid), 0),
    serverCore: serverBusy / elapsed,
    loadCore: (busyMicros(LOAD_CORE) - load) / elapsed,
    foreign: Math.max(0, serverBusy - used) / elapsed,
  };
}

/** Everything but idle and waiting, in microseconds since the machine started. */
function busyMicros(core: number): number {
  const line = new RegExp(`^cpu${core} (.*)$`, 'm').exec(readFileSync('/proc/stat', 'utf8'))?.[1] ?? '';
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = line.trim().split(/\s+/).map(Number);
  return (user + nice + system + irq + softirq + steal) * 10_000;
}

/** How long a round may wait for the rest of the machine to be quiet; none by default. */
let patienceMs = 0;
const LOOK_MS = 250;
/** Of one core, what others may use when a round begins. */
const QUIET = 0.1;

export function bePatient(milliseconds: number): void {
  patienceMs = milliseconds;
}

/** Between rounds nothing of ours has work: whatever is busy is somebody else. */
async function quiet(): Promise<void> {
  const began = performance.now();
  while (performance.now() - began < patienceMs) {
    const busy = () => busyMicros(SERVER_CORE) + busyMicros(LOAD_CORE);
    const [before, started] = [busy(), performance.now()];
    await new Promise((later) => setTimeout(later, LOOK_MS));
    if ((busy() - before) / 1_000 / (performance.now() - started) < QUIET) return;
  }
}

/** Each subject once per round, the order turned around every time. The result is per subject, in the order given. */
export async function alternate<Subject extends { readonly name: string }, Result>(
  subjects: readonly Subject[],
  rounds: number,
  measure: (subject: Subject, round: number) => Promise<Result>,
): Promise<Map<Subject, Result[]>> {
  const results = new Map<Subject, Result[]>(subjects.map((subject) => [subject, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const subject of round % 2 === 0 ? subjects : subjects.toReversed()) {
      progress(`round ${round + 1} of ${rounds}: ${subject.name}`);
      if (patienceMs > 0) await quiet();
      results.get(subject)?.push(await measure(subject, round));
    }
  }
  return results;
}

/** The median of each figure. */
export function typical(rounds: readonly Round[]): Round {
  const of = (key: keyof Round) => median(rounds.map((round) => round[key]));
  return {
    operations: of('operations'),
    perSecond: of('perSecond'),
    p50Ms: of('p50Ms'),
    p99Ms: of('p99Ms'),
    cpuMicros: of('cpuMicros'),
    residentMib: of('residentMib'),
    serverCore: of('serverCore'),
    loadCore: of('loadCore'),
    foreign: of('foreign'),
  };
}
