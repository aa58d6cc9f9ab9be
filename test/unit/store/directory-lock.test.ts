import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Fault } from '../../../src/faults/fault.ts';
import { DirectoryLock } from '../../../src/store/directory-lock.ts';

function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-lock-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const MODULE = JSON.stringify(new URL('../../../src/store/directory-lock.ts', import.meta.url));

/** Another process that tries to take the lock, says what became of it, and stays until it is killed. */
async function rival(directory: string): Promise<{ child: ChildProcess; says: string }> {
  const script = `
    const { DirectoryLock } = await import(${MODULE});
    try {
      globalThis.lock = DirectoryLock.acquire(${JSON.stringify(directory)});
      console.log('acquired');
    } catch (thrown) {
      console.log(thrown.code);
    }
    setInterval(() => {}, 1e6);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const says = await new Promise<string>((resolve) =>
    child.stdout?.once('data', (chunk) => resolve(String(chunk).trim())),
  );
  return { child, says };
}

function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  return new Promise((resolve) => {
    child.once('exit', () => resolve());
    child.kill(signal);
  });
}

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (thrown) {
    return thrown instanceof Fault ? thrown.code : String(thrown);
  }
  return 'none';
}

describe('the lock of a folder', () => {
  it('is free before anybody came, and asking leaves no trace', () => {
    const directory = scratch();
    expect(DirectoryLock.isHeld(directory)).toBe(false);
    expect(codeOf(() => statSync(join(directory, 'run')))).toContain('ENOENT');
  });

  it('is had once, in this process and in others, until it is released', async () => {
    const directory = scratch();
    const lock = DirectoryLock.acquire(directory);
    expect(DirectoryLock.isHeld(directory)).toBe(true);
    expect(codeOf(() => DirectoryLock.acquire(directory))).toBe('SP_GATEWAY_RUNNING');
    expect((await rival(directory)).says).toBe('SP_GATEWAY_RUNNING');
    // The attempts above must not have taken it away.
    expect(DirectoryLock.isHeld(directory)).toBe(true);
    lock.release();
    lock.release();
    expect(DirectoryLock.isHeld(directory)).toBe(false);
    expect((await rival(directory)).says).toBe('acquired');
    expect(codeOf(() => DirectoryLock.acquire(directory))).toBe('SP_GATEWAY_RUNNING');
  });

  it.each(['SIGKILL', 'SIGTERM'] as const)('goes with its process after %s', async (signal) => {
    const directory = scratch();
    const { child, says } = await rival(directory);
    expect([says, DirectoryLock.isHeld(directory)]).toEqual(['acquired', true]);
    await end(child, signal);
    expect(DirectoryLock.isHeld(directory)).toBe(false);
    DirectoryLock.acquire(directory).release();
  });

  it('is had by exactly one of several that start at the same moment', async () => {
    const directory = scratch();
    const rivals = await Promise.all(Array.from({ length: 4 }, () => rival(directory)));
    expect(rivals.map(({ says }) => says).sort()).toEqual([
      'SP_GATEWAY_RUNNING',
      'SP_GATEWAY_RUNNING',
      'SP_GATEWAY_RUNNING',
      'acquired',
    ]);
  });

  it('each worker has its own, and it says nothing about the lead', () => {
    const directory = scratch();
    const [one, other] = [DirectoryLock.acquire(directory, 1), DirectoryLock.acquire(directory, 2)];
    expect(codeOf(() => DirectoryLock.acquire(directory, 1))).toBe('SP_GATEWAY_RUNNING');
    expect(DirectoryLock.isHeld(directory)).toBe(false);
    DirectoryLock.acquire(directory).release();
    one.release();
    DirectoryLock.acquire(directory, 1).release();
    other.release();
  });

  it('is another one for another folder', () => {
    const [one, other] = [DirectoryLock.acquire(scratch()), DirectoryLock.acquire(scratch())];
    one.release();
    other.release();
  });

  it('is not handed out when its file is no lock', () => {
    const directory = scratch();
    mkdirSync(join(directory, 'run'));
    writeFileSync(
      join(directory, 'run', 'lock.db'),
      'something else, long enough to be taken for a header '.repeat(20),
    );
    expect(codeOf(() => DirectoryLock.acquire(directory))).toBe('SP_STORE_FAILED');
    expect(codeOf(() => DirectoryLock.isHeld(directory))).toBe('SP_STORE_FAILED');
  });

  it('is not handed out where no folder can be made', () => {
    const directory = scratch();
    writeFileSync(join(directory, 'run'), '');
    expect(codeOf(() => DirectoryLock.acquire(directory))).toBe('SP_STORE_FAILED');
  });
});
