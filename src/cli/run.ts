/** `sallyport run`: the gateway in the foreground. SIGTERM and Ctrl-C drain, SIGHUP reloads. Under --permission (launch.mjs). */
import type { Command } from 'commander';
import { Fault } from '../faults/fault.ts';
import { Gateway } from '../gateway.ts';
import { sealDatabases } from '../store/seal-databases.ts';
import { answering, EXIT } from './command.ts';
import { paint } from './terminal.ts';

/** How often the process that started us is looked for, when it could not become us. */
const LAUNCHER_CHECK_MS = 250;

export function registerRun(root: Command): void {
  root
    .command('run')
    .description('run the gateway of this folder until SIGTERM or Ctrl-C')
    .option('--accept-clock', 'believe the clock although the ledger has records of a later time')
    .addHelpText(
      'after',
      `
Runs under Node’s permission model: it reads the folder (without ca/key.pem and devices/), writes state/, ledger/ and run/,
and can start no process. SIGTERM and Ctrl-C finish what is under way and stop; SIGHUP takes over a changed configuration.`,
    )
    .action(
      answering<{ acceptClock?: boolean }>(async ({ directory, json }, _, { acceptClock = false }) => {
        if (process.permission === undefined) throw new Fault('SP_GATEWAY_PERMISSIONS');
        const started = performance.now();
        const gateway = await Gateway.open(directory, { acceptClock });
        sealDatabases();
        const stopped = new Promise<void>((done) => {
          watchSignals(gateway, done);
          watchLauncher(() => void gateway.close().then(done));
        });
        process.on('uncaughtException', (thrown) => fatal(gateway, thrown));
        process.on('unhandledRejection', (thrown) => fatal(gateway, thrown));
        await gateway.listen();
        announce(gateway, json, performance.now() - started);
        await stopped;
        return undefined;
      }),
    );
}

function announce(gateway: Gateway, json: boolean, tookMs: number): void {
  const { addresses } = gateway;
  if (json || !process.stdout.isTTY) {
    gateway.log.info({ event: 'ready', tookMs: Math.round(tookMs), ...addresses }, 'ready');
    return;
  }
  const lines = Object.entries(addresses).map(([name, address]) => `${name} ${address}`);
  process.stdout.write(`${paint('green', '●')} ready in ${(tookMs / 1_000).toFixed(1)} s       ${lines.join('   ')}\n`);
  process.stdout.write(
    paint('dim', '  Ctrl-C stops; in another terminal: sallyport status, sallyport audit tail -f\n'),
  );
}

function watchSignals(gateway: Gateway, done: () => void): void {
  let stopping = false;
  const stop = () => {
    // A second signal means: now.
    if (stopping) process.exit(EXIT.no);
    stopping = true;
    void gateway.close().then(done);
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  process.on('SIGHUP', () => {
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
