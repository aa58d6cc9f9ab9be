/** What the figures were measured on. No names of hosts or people. */
import { readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { versionOf } from './children.ts';

export interface Machine {
  readonly date: string;
  readonly processor: string;
  readonly processors: number;
  readonly memoryGib: number;
  readonly system: string;
  readonly programs: Readonly<Record<string, string>>;
}

export function thisMachine(): Machine {
  const all = cpus();
  const system = /^PRETTY_NAME="(.*)"$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'Linux';
  const programs: Record<string, string | undefined> = {
    Node: `${process.version}, OpenSSL ${process.versions.openssl}`,
    nginx: versionOf('nginx', '-v')?.replace(/^.*nginx\//, ''),
    haproxy: /version (\S+)/.exec(versionOf('haproxy', '-v') ?? '')?.[1],
    ab: /Version (\S+)/.exec(versionOf('ab', '-V') ?? '')?.[1],
    OPA: /(\d+\.\d+\.\d+)/.exec(versionOf('PATH="$PATH:$HOME/go/bin" opa', 'version') ?? '')?.[1],
  };
  return {
    date: new Date().toISOString().slice(0, 10),
    processor: all[0]?.model.trim() ?? 'unknown',
    processors: all.length,
    memoryGib: Math.round(totalmem() / 1_073_741_824),
    system: `${system}, Linux ${release()}`,
    programs: Object.fromEntries(
      Object.entries(programs).filter((pair): pair is [string, string] => pair[1] !== undefined),
    ),
  };
}
