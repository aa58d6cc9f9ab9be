#!/usr/bin/env node
/**
 * First thing that runs, on any Node >= 20: installs what is missing, finds Node 26, and hands over to main.ts. `run`
 * starts under Node's permission model with exact paths, no child processes, no addons, no code from strings.
 * Plain JavaScript on purpose: an old Node must be able to read it.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { availableParallelism, constants } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const NEEDED_MAJOR = 26;
const EXIT_USAGE = 2;
/** Of the processors that `workers: auto` uses: more wait for one disk. */
const MOST_WORKERS = 8;
const MAX_CONFIGURATION_BYTES = 262_144;

/** The project's folder: where package.json is. */
const root = dirname(dirname(realpathSync(fileURLToPath(import.meta.url))));
const args = process.argv.slice(2);

prepare();
if (args[0] === '--prepare') process.exit(0);
// Node keeps what it compiled: half the start-up time. Only Node itself writes there, also under the permission model.
process.env.NODE_COMPILE_CACHE ??= join(root, 'node_modules', '.cache', 'sallyport');
// glibc keeps a heap per thread and core otherwise: 7 MB of a gateway that does nothing.
process.env.MALLOC_ARENA_MAX ??= '2';
const of = await workersOf(args);
if (of === 1) handOver(nodePath(), [...flags(args), entry(), ...withRealDirectory(args)]);
else {
  const { supervise } = await import('./supervisor.mjs');
  const words = [entry(), ...withRealDirectory(args)];
  process.exitCode = await supervise({ program: nodePath(), flags: flags(args), words, of, above: npmAbove() });
}

/** Installs the locked dependencies if they are absent or older than the lockfile. Nothing to do in a packaged image. */
function prepare() {
  const lock = join(root, 'package-lock.json');
  const installed = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(lock)) return;
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs) return;
  if (lstatSync(join(root, 'node_modules'), { throwIfNoEntry: false })?.isSymbolicLink()) {
    process.stderr.write(
      'sallyport: node_modules is a link and not what the lockfile says; install there by hand (npm ci).\n',
    );
    return;
  }
  process.stderr.write('sallyport: installing the locked dependencies (Node 26 among them, about 210 MB unpacked) …\n');
  const started = Date.now();
  const environment = { ...process.env };
  // npm hands its own switches down by environment; `--json` or `--silent` of the caller are not meant for this install.
  for (const key of Object.keys(environment))
    if (/^npm_config_(json|loglevel|silent|omit|include)$/i.test(key)) delete environment[key];
  const result = spawnSync('npm', ['ci', '--no-fund', '--no-audit', '--loglevel=error'], {
    cwd: root,
    env: environment,
    stdio: ['ignore', process.stderr.fd, process.stderr.fd],
  });
  if (result.status !== 0) {
    process.stderr.write(
      `sallyport: \`npm ci\` in ${root} failed${result.error ? ` (${result.error.message})` : ''}. Run it by hand to see why; it needs the package registry once.\n`,
    );
    process.exit(EXIT_USAGE);
  }
  checkBundledNode();
  process.stderr.write(`sallyport: installed in ${((Date.now() - started) / 1000).toFixed(0)} s\n`);
}

/** The packaged Node links libatomic, which not every system has. */
function checkBundledNode() {
  const bundled = join(root, 'node_modules', `node-linux-${process.arch}`, 'bin', 'node');
  if (!existsSync(bundled)) return;
  const result = spawnSync(bundled, ['--version'], { encoding: 'utf8' });
  if (result.status === 0) return;
  process.stderr.write(
    `sallyport: the packaged Node does not start: ${(result.stderr || result.error?.message || '').trim()}\n` +
      `If it misses libatomic.so.1: apt-get install libatomic1 (Debian, Ubuntu) or dnf install libatomic (Fedora).\n`,
  );
  process.exit(EXIT_USAGE);
}

/** This Node if it is new enough, else the one among the dependencies. */
function nodePath() {
  if (Number(process.versions.node.split('.')[0]) >= NEEDED_MAJOR) return process.execPath;
  const bundled = join(root, 'node_modules', `node-linux-${process.arch}`, 'bin', 'node');
  if (existsSync(bundled)) return bundled;
  process.stderr.write(
    `sallyport: Node ${NEEDED_MAJOR} or newer is needed; this is ${process.version}, and there is no packaged one for ${process.platform}-${process.arch}.\n` +
      `Install Node ${NEEDED_MAJOR} from nodejs.org and run the command again.\n`,
  );
  process.exit(EXIT_USAGE);
}

/** The TypeScript in a checkout, the compiled JavaScript in a package. */
function entry() {
  const source = join(root, 'src', 'main.ts');
  return existsSync(source) ? source : join(root, 'dist', 'main.js');
}

/** Node's own flags for a command. */
function flags(command) {
  const always = [
    '--disable-proto=delete',
    '--disable-warning=ExperimentalWarning',
    '--disallow-code-generation-from-strings',
  ];
  const { name, directory } = commandAndDirectory(command);
  if (name !== 'run') return always;
  const read = ['src', 'dist', 'policies', 'node_modules', 'package.json']
    .map((part) => join(root, part))
    .filter(existsSync);
  // The CA's key and the devices' folders are not among them: the running gateway cannot issue an identity.
  const parts = ['sallyport.yaml', 'ca/cert.pem', 'ca/trusted', 'certs', 'keys', 'policy'];
  const write = ['state', 'ledger', 'run'].map((part) => join(directory, part));
  // A permission for a folder that is not there would be one for a file.
  if (existsSync(join(directory, 'sallyport.yaml')))
    for (const folder of write) mkdirSync(folder, { recursive: true, mode: 0o700 });
  return [
    ...always,
    '--permission',
    '--allow-net',
    ...[...read, ...parts.map((part) => join(directory, part)), ...write].map((path) => `--allow-fs-read=${path}`),
    ...write.map((path) => `--allow-fs-write=${path}`),
  ];
}

/**
 * How many processes `run` needs: --workers, else the configuration's `workers`. One for every doubt: that one then says
 * what is wrong with the command or the configuration.
 */
async function workersOf(command) {
  const { name, directory } = commandAndDirectory(command);
  const rest = withoutDirectory(command).filter((word) => !['run', '--json', '--accept-clock'].includes(word));
  const asked = /^--workers(?:=|$)/.test(rest[0] ?? '') ? (rest[0].split('=')[1] ?? rest[1]) : undefined;
  const known = rest.length === (asked === undefined ? 0 : rest[0].includes('=') ? 1 : 2);
  if (name !== 'run' || !known) return 1;
  const wanted = asked ?? (await configuredWorkers(join(directory, 'sallyport.yaml')));
  const count = wanted === 'auto' ? Math.min(MOST_WORKERS, availableParallelism()) : Number(wanted);
  if (!Number.isInteger(count) || count < 1 || count > 64) return 1;
  if (count === 1 || process.platform === 'linux') return count;
  if (wanted !== 'auto') {
    process.stderr.write('sallyport: several workers share a port as Linux does it; here one process serves.\n');
  }
  return 1;
}

async function configuredWorkers(file) {
  try {
    const text = statSync(file).size > MAX_CONFIGURATION_BYTES ? '' : readFileSync(file, 'utf8');
    if (!text.includes('workers')) return 'auto';
    const { parseDocument } = await import('yaml');
    const document = parseDocument(text, { uniqueKeys: false });
    return document.errors.length > 0 ? 1 : (document.get('workers') ?? 'auto');
  } catch {
    return 1;
  }
}

/** The permissions are for the real path of the folder, so `run` is told that one. */
function withRealDirectory(command) {
  const { name, directory } = commandAndDirectory(command);
  return name === 'run' ? ['-C', directory, ...withoutDirectory(command)] : command;
}

function withoutDirectory(command) {
  const rest = [];
  for (let index = 0; index < command.length; index++) {
    const word = command[index];
    if (word === '-C' || word === '--directory') index += 1;
    else if (!word.startsWith('--directory=') && !(word.startsWith('-C') && word.length > 2)) rest.push(word);
  }
  return rest;
}

/** The command's name and the gateway folder (-C, --directory), without parsing anything else. */
function commandAndDirectory(command) {
  let directory = '.';
  let name;
  for (let index = 0; index < command.length; index++) {
    const word = command[index];
    if (word === '-C' || word === '--directory') directory = command[++index] ?? '.';
    else if (word.startsWith('--directory=')) directory = word.slice('--directory='.length);
    else if (word.startsWith('-C') && word.length > 2) directory = word.slice(2);
    else if (!word.startsWith('-') && name === undefined) name = word;
  }
  const absolute = resolve(directory);
  return { name, directory: existsSync(absolute) ? realpathSync(absolute) : absolute };
}

/**
 * The npm or npx that started us, if one did: it stands two processes up, and does not pass signals on. The gateway watches
 * it and drains when it is gone (cli/run.ts), as if it had been told to stop itself.
 */
function npmAbove() {
  if (process.env.npm_command === undefined || process.platform !== 'linux') return undefined;
  try {
    let pid = process.ppid;
    for (let step = 0; step < 4 && pid > 1; step++) {
      if (/(?:^|[/\0 ])np[mx](?:[-. \0]|$)/.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8'))) return pid;
      // pid (name) state ppid …; the name may hold anything but ends with the last parenthesis.
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      pid = Number(stat.slice(stat.lastIndexOf(')') + 4).split(' ')[0]);
    }
  } catch {
    // No /proc here: nothing to watch.
  }
  return undefined;
}

/** Becomes the new process where Node can (same pid, so signals and kill -9 mean what they say); else waits for it. */
function handOver(node, words) {
  const above = process.env.SALLYPORT_LAUNCHER ?? npmAbove();
  if (typeof process.execve === 'function') {
    try {
      process.execve(node, [node, ...words], { ...process.env, ...(above && { SALLYPORT_LAUNCHER: String(above) }) });
    } catch {
      // Not on this platform: fall through to a child.
    }
  }
  // As supervisor.mjs: no debugger for the asking.
  process.on('SIGUSR1', () => {});
  const child = spawn(node, words, {
    stdio: 'inherit',
    env: { ...process.env, SALLYPORT_LAUNCHER: String(above ?? process.pid) },
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR2']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    process.stderr.write(`sallyport: ${node} could not be started: ${error.message}\n`);
    process.exit(EXIT_USAGE);
  });
  child.on('exit', (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 1)));
}
