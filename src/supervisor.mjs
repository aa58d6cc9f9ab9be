/**
 * The parent of several workers: starts them, starts again what ends, passes signals on. It opens no socket, has no key, and
 * reads nothing from a worker but that it ended and the one byte that says "ready". Plain JavaScript, as launch.mjs is.
 */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 10_000;
/** A worker that served so long is started again without a pause to speak of. */
const STEADY_MS = 30_000;
/** After a failed start the others get so long to end by themselves. */
const END_TIMEOUT_MS = 15_000;
const WATCH_INTERVAL_MS = 250;

/**
 * Runs `of` workers until a signal ends them. Resolves with the exit code.
 * @param {{ program: string, flags: string[], words: string[], of: number, above: number | undefined }} options
 *   `words`: script and arguments; `above`: a process whose end means ours
 */
export function supervise({ program, flags, words, of, above }) {
  const workers = Array.from({ length: of }, (_, worker) => ({ worker, failures: 0, ready: false }));
  let settled = false;
  let stopping = false;
  let code;
  let resolve;
  const promise = new Promise((done) => {
    resolve = done;
  });

  const start = (one, again) => {
    one.ready = false;
    one.startedAt = performance.now();
    one.child = spawn(program, [...flags, ...words, '--worker', `${one.worker}/${of}${again ? '/again' : ''}`], {
      stdio: ['inherit', 'inherit', 'inherit', 'pipe'],
      // What ends this process must end the workers: they look whether it is there (cli/run.ts).
      env: { ...process.env, SALLYPORT_LAUNCHER: String(process.pid) },
    });
    const line = one.child.stdio[3];
    line.on('error', () => {});
    line.once('data', () => {
      one.ready = true;
      line.destroy();
      settled ||= workers.every(({ ready }) => ready);
    });
    one.child.once('error', (error) => {
      say(`${program} could not be started: ${error.message}`);
      ended(one, 2, null);
    });
    one.child.once('exit', (exit, signal) => ended(one, exit, signal));
  };

  const ended = (one, exit, signal) => {
    if (!one.child) return;
    one.child = undefined;
    const status = exit ?? 128 + (constants.signals[signal] ?? 1);
    if (stopping || !settled) {
      // A start is one thing: what keeps one worker from it keeps all, and is told once, by the one that failed.
      if (!stopping) stop('SIGTERM', status);
      else if (exit) code ||= exit;
      if (workers.every(({ child }) => !child)) resolve(code ?? 0);
      return;
    }
    one.failures = performance.now() - one.startedAt > STEADY_MS ? 1 : one.failures + 1;
    const pauseMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (one.failures - 1));
    say(`worker ${one.worker} ended (${signal ?? `exit code ${exit}`}); starting it again in ${pauseMs / 1000} s`);
    one.waiting = setTimeout(() => start(one, true), pauseMs);
  };

  const stop = (signal, status) => {
    const first = !stopping;
    stopping = true;
    code ??= status;
    for (const { child, waiting } of workers) {
      clearTimeout(waiting);
      child?.kill(signal);
    }
    if (first && status !== undefined) {
      setTimeout(() => {
        for (const { child } of workers) child?.kill('SIGKILL');
      }, END_TIMEOUT_MS).unref();
    }
    if (workers.every(({ child }) => !child)) resolve(code ?? 0);
  };

  // Node opens a debugger on SIGUSR1. Any process of the user may send one, a worker that was taken over too, and this
  // process has no permission model around it.
  process.on('SIGUSR1', () => {});
  // A second signal means: now. The workers know (cli/run.ts). Ctrl-C reaches them too, and they leave it to us.
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => stop('SIGTERM'));
  process.on('SIGHUP', () => workers[0].child?.kill('SIGHUP'));
  if (above !== undefined) {
    const timer = setInterval(() => {
      if (isAlive(above)) return;
      clearInterval(timer);
      stop('SIGTERM');
    }, WATCH_INTERVAL_MS);
    timer.unref();
  }
  for (const one of workers) start(one, false);
  return promise;
}

function say(text) {
  process.stderr.write(`sallyport: ${text}\n`);
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    return thrown.code === 'EPERM';
  }
}
