/** The command line in this process, so that hundreds of starts cost no hundreds of processes: same code, same exit code. */
import { program } from '../../../src/main.ts';

export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** CPU time of this process, milliseconds. */
  readonly cpuMs: number;
}

export async function inProcess(...words: readonly string[]): Promise<Ended> {
  const out = { stdout: '', stderr: '' };
  const taken = (['stdout', 'stderr'] as const).map((name) => {
    const { write } = process[name];
    process[name].write = ((text: string | Uint8Array, ...rest: unknown[]) => {
      out[name] += String(text);
      for (const callback of rest) if (typeof callback === 'function') callback();
      return true;
    }) as typeof write;
    return () => {
      process[name].write = write;
    };
  });
  const before = process.cpuUsage();
  process.exitCode = undefined;
  try {
    await (await program(words)).parseAsync(['node', 'sallyport', ...words]);
    const { user, system } = process.cpuUsage(before);
    return { code: Number(process.exitCode ?? 0), ...out, cpuMs: (user + system) / 1_000 };
  } finally {
    for (const restore of taken) restore();
    process.exitCode = undefined;
  }
}
