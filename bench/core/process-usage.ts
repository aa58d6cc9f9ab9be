/**
 * CPU time and memory of a process with its children and threads, from /proc (Linux). schedstat counts nanoseconds; where a
 * kernel was built without it, stat's hundredths of a second must do.
 */
import { readdirSync, readFileSync } from 'node:fs';

/** User and system time of the process, its threads and its living children, microseconds. */
export function cpuMicros(pid: number): number {
  return tree(pid).reduce((sum, one) => sum + ofProcess(one), 0);
}

/** Resident memory of the process and its children, MiB. */
export function residentMib(pid: number): number {
  const ofOne = (one: number) => Number(/^VmRSS:\s+(\d+) kB/m.exec(read(`/proc/${one}/status`))?.[1] ?? 0);
  return tree(pid).reduce((sum, one) => sum + ofOne(one), 0) / 1_024;
}

/** The process and everything it started that still lives. */
export function tree(pid: number): number[] {
  const threads = list(`/proc/${pid}/task`);
  const children = threads.flatMap((thread) =>
    read(`/proc/${pid}/task/${thread}/children`).split(' ').filter(Boolean).map(Number),
  );
  return [pid, ...children.flatMap(tree)];
}

function ofProcess(pid: number): number {
  let nanos = 0;
  for (const thread of list(`/proc/${pid}/task`))
    nanos += Number(read(`/proc/${pid}/task/${thread}/schedstat`).split(' ')[0]);
  if (nanos > 0) return nanos / 1_000;
  const stat = read(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
