/** A file system of a few kilobytes over one folder, for a real disk that is really full. Needs root and mount(8). */
import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';

export class SmallDisk {
  readonly #folder: string;

  /** Why there can be none on this machine; undefined: there can. */
  static obstacle(): string | undefined {
    if (process.getuid?.() !== 0) return 'not root';
    return spawnSync('mount', ['--version']).status === 0 ? undefined : 'mount is missing';
  }

  constructor(folder: string, size: string) {
    this.#folder = folder;
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=0700`, 'tmpfs', folder]);
  }

  resize(size: string): void {
    execFileSync('mount', ['-o', `remount,size=${size}`, this.#folder]);
  }

  /** Writes a file of somebody else until nothing more fits. */
  fill(): void {
    const file = openSync(join(this.#folder, 'filler'), 'w');
    try {
      for (;;) writeSync(file, Buffer.alloc(4_096, 0x78));
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== 'ENOSPC') throw thrown;
    } finally {
      closeSync(file);
    }
  }

  empty(): void {
    rmSync(join(this.#folder, 'filler'), { force: true });
  }

  remove(): void {
    spawnSync('umount', ['-l', this.#folder]);
  }
}
