/** `sallyport run`: the gateway in the foreground. SIGTERM and Ctrl-C drain, SIGHUP reloads. Under --permission (launch.mjs). */
import { writeSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { socketPath } from '../admin/socket.ts';
import { Fault } from '../faults/fault.ts';
import { Gateway } from '../gateway.ts';
import { sealDatabases } from '../store/seal-databases.ts';
import { ALONE, type Crew } from '../workers/crew.ts';
import { Follower } from '../workers/follower.ts';
import { Lead } from '../workers/lead.ts';
import { MAX_WORKERS, type Role, roleOf } from '../workers/role.ts';
import { answering, type CommandContext, EXIT } from './command.ts';
import { withHints } from './hint.ts';
import { paint } from './terminal.ts';

/** How often the process that started us is looked for, when it could not become us. */
const LAUNCHER_CHECK_MS = 250;
/** The pipe to the supervisor: one byte says that this worker serves. */
const READY_DESCRIPTOR = 3;

interface RunOptions {
  readonly acceptClock?: boolean;
  readonly workers?: string;
  readonly worker?: string;
}

export function registerRun(root: Command): void {
  root
    .command('run')
    .description('run the gateway of this folder until SIGTERM or Ctrl-C')
    .option('--accept-clock', 'believe the clock although the ledger has records of a later time')
    .option('--workers <count>', 'processes that serve; `workers` of the configuration when left out')
    // Said by the supervisor to each of several processes.
    .addOption(new Option('--worker <role>').hideHelp())
    .addHelpText(
      'after',
      `
Runs under Node’s permission model: it reads the folder (without ca/key.pem and devices/), writes state/, ledger/ and run/,
and can start no process. SIGTERM and Ctrl-C finish what is under way and stop; SIGHUP takes over a changed configuration.`,
    )
    .action(
      answering<RunOptions>(async ({ directory, json }, _, { acceptClock = false, workers, worker }) => {
        if (process.permission === undefined) throw new Fault('SP_GATEWAY_PERMISSIONS');
        assertCount(workers);
        const role = worker === undefined ? undefined : roleOf(worker, process.env.SALLYPORT_LAUNCHER);
        const started = performance.now();
        let gateway: Gateway | undefined;
        // Not before there is one: nothing is open then.
        const launcherGone = Promise.withResolvers<void>();
        watchLauncher(() => (gateway ? launcherGone.resolve() : process.exit(EXIT.no)));
        gateway = await Gateway.open(directory, { acceptClock, crew: crewOf(role, directory, () => gateway) });
        const running = gateway;
        sealDatabases();
        let isStopping = false;
        const stopped = new Promise<void>((done) => {
          const stop = () => {
            isStopping = true;
            void running.close().then(done);
          };
          watchSignals(running, role, stop);
          void launcherGone.promise.then(stop);
        });
        process.on('uncaughtException', (thrown) => fatal(running, thrown));
        process.on('unhandledRejection', (thrown) => fatal(running, thrown));
        await running.listen();
        if (role && !isStopping) tellSupervisor();
        if (!isStopping && (!role || role.worker === 0))
          announce(running, { directory, json }, performance.now() - started, role?.of);
        await stopped;
        return undefined;
      }),
    );
}

function assertCount(workers: string | undefined): void {
  if (workers === undefined || workers === 'auto') return;
  const count = Number(workers);
  if (Number.isInteger(count) && count >= 1 && count <= MAX_WORKERS) return;
  throw new Fault('SP_USAGE', `--workers: auto or a number from 1 to ${MAX_WORKERS}.`);
}

function crewOf(role: Role | undefined, directory: string, gateway: () => Gateway | undefined): Crew {
  if (!role) return ALONE;
  const path = socketPath(directory, 'workers.sock');
  if (role.worker > 0) {
    const onBroken = (fault: Fault) => void process.nextTick(() => Promise.reject(fault));
    return new Follower({ role, path, onBroken });
  }
  const onChange = (event: 'worker-joined' | 'worker-gone', other: number, pid: number) =>
    gateway()?.log.info({ event, other, pid }, event === 'worker-joined' ? 'a worker joined' : 'a worker is gone');
  return new Lead({ role, path, onChange });
}

function tellSupervisor(): void {
  try {
    writeSync(READY_DESCRIPTOR, 'r');
  } catch {
    // It is gone: watchLauncher sees to the rest.
  }
}

function announce(gateway: Gateway, { directory, json }: CommandContext, tookMs: number, workers = 1): void {
  const { addresses } = gateway;
  if (json || !process.stdout.isTTY) {
    const several = workers > 1 && { workers };
    gateway.log.info({ event: 'ready', tookMs: Math.round(tookMs), ...several, ...addresses }, 'ready');
    return;
  }
  const lines = Object.entries(addresses).map(([name, address]) => `${name} ${address}`);
  process.stdout.write(`${paint('green', '●')} ready in ${(tookMs / 1_000).toFixed(1)} s       ${lines.join('   ')}\n`);
  process.stdout.write(
    paint(
      'dim',
      withHints('  Ctrl-C stops; in another terminal: sallyport status, sallyport audit tail -f\n', directory),
    ),
  );
}

function watchSignals(gateway: Gateway, role: Role | undefined, close: () => void): void {
  let stopping = false;
  const stop = () => {
    // A second signal means: now.
    if (stopping) process.exit(EXIT.no);
    stopping = true;
    close();
  };
  process.on('SIGTERM', stop);
  // Ctrl-C reaches every process of the terminal; the supervisor tells its workers in its own words, once.
  process.on('SIGINT', role ? () => {} : stop);
  process.on('SIGHUP', () => {
    if (role && role.worker > 0) return;
    // A broken configuration changes nothing; reload() has logged why.
    void gateway.reload().catch(() => undefined);
  });
}

/**
 * npx, or the launcher on an old Node, stands between us and whoever started us. If it is ended without a word to us, nobody
 * would ever stop this gateway: drain then.
 */
function watchLauncher(stop: () => void): void {
  const launcher = Number(process.env.SALLYPORT_LAUNCHER);
  if (!Number.isInteger(launcher) || launcher <= 1) return;
  const timer = setInterval(() => {
    if (isAlive(launcher)) return;
    clearInterval(timer);
    stop();
  }, LAUNCHER_CHECK_MS);
  timer.unref();
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** What nobody foresaw ends the process: a gateway in an unknown state must not decide. Nothing unrecorded was forwarded. */
function fatal(gateway: Gateway, thrown: unknown): void {
  const fault = Fault.from(thrown);
  gateway.log.error({ code: fault.code, error: thrown }, 'fatal');
  gateway.log.flush();
  process.exit(EXIT.no);
}
