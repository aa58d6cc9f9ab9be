/**
 * What somebody would try who runs code inside the gateway: processes, workers, addons, foreign files. Plain JavaScript,
 * because it is copied to where the gateway may read and runs there on its own.
 */
import childProcess from 'node:child_process';
import cluster from 'node:cluster';
import fs from 'node:fs';
import inspector from 'node:inspector';
import module from 'node:module';
import { run as runTests } from 'node:test';
import v8 from 'node:v8';
import { WASI } from 'node:wasi';
import { Worker } from 'node:worker_threads';

const require = module.createRequire(import.meta.url);

function attemptsOn(gateway, root, outside) {
  const secrets = {
    passwd: '/etc/passwd',
    authority: `${gateway}/ca/key.pem`,
    device: `${gateway}/devices/thermo-1/key.pem`,
    devices: `${gateway}/devices`,
  };
  const targets = {
    configuration: `${gateway}/sallyport.yaml`,
    keys: `${gateway}/keys/privacy.json`,
    'new key': `${gateway}/keys/new.json`,
    certificate: `${gateway}/certs/listener/cert.pem`,
    policy: `${gateway}/policy/policy.wasm`,
    trust: `${gateway}/ca/trusted/evil.pem`,
    program: `${root}/src/main.ts`,
    launcher: `${root}/src/launch.mjs`,
    package: `${root}/node_modules/ws/index.js`,
    outside: `${outside}/written`,
  };

  const attempts = {
    // --- processes
    spawn: () => childProcess.spawn('id'),
    'spawn sync': () => childProcess.spawnSync('id').error ?? 'done',
    exec: () => childProcess.exec('id'),
    'exec file': () => childProcess.execFileSync('/usr/bin/id'),
    fork: () => childProcess.fork(`${root}/src/main.ts`),
    'cluster fork': () => cluster.fork(),
    execve: () => process.execve('/usr/bin/id', ['id'], {}),
    'test runner': async () => {
      for await (const event of runTests({ files: [`${root}/src/main.ts`] }))
        if (event.type === 'test:fail') throw event.data.details.error.cause ?? event.data.details.error;
    },
    // --- other ways to run code
    worker: () => new Worker('1', { eval: true }),
    'worker of a file': () => new Worker(`${root}/src/main.ts`),
    wasi: () => new WASI({ version: 'preview1', preopens: { '/': '/' } }),
    addon: () => process.dlopen({ exports: {} }, `${outside}/addon.node`),
    'addon by require': () => require(`${gateway}/policy/addon.node`),
    'loader hooks': () => module.register('data:text/javascript,export function resolve() {}'),
    binding: () => process.binding('fs').internalModuleStat('/etc'),
    'binding of processes': () => process.binding('spawn_sync').spawn({}),
    linked: () => process._linkedBinding('x'),
    'inspector opened': () => inspector.open(0),
    'inspector session': () => new inspector.Session().connect(),
    eval: () => globalThis['ev' + 'al']('1'),
    'new Function': () => new Function('return 1')(),
    'own permission': () =>
      process.permission.has('child') ||
      process.permission.has('fs.read', '/etc/passwd') ||
      process.permission.has('fs.write', '/'),
    // --- reading
    ...each('read', secrets, {
      sync: (file) => fs.readFileSync(file),
      open: (file) => fs.openSync(file),
      promise: (file) => fs.promises.readFile(file),
      list: (file) => fs.readdirSync(file),
      copy: (file) => fs.copyFileSync(file, `${gateway}/state/copy`),
      link: (file) => fs.linkSync(file, `${gateway}/state/link`),
      symlink: (file) => fs.symlinkSync(file, `${gateway}/state/symlink`),
      blob: async (file) => (await fs.openAsBlob(file)).text(),
      stat: (file) => fs.statSync(file),
      buffer: (file) => fs.readFileSync(Buffer.from(file)),
      url: (file) => fs.readFileSync(new URL(`file://${file}`)),
      'dot dot': (file) => fs.readFileSync(`${gateway}/state/../../..${'/..'.repeat(12)}${file}`),
      'through proc': (file) => fs.readFileSync(`/proc/self/root${file}`),
      stream: (file) =>
        new Promise((_, fail) =>
          fs
            .createReadStream(file)
            .on('error', fail)
            .on('data', () => fail(new Error('read'))),
        ),
      import: (file) => import(`file://${file}`),
      'as environment': (file) => process.loadEnvFile(file),
    }),
    'own environment': () => fs.readFileSync('/proc/self/environ'),
    'own memory': () => fs.openSync('/proc/self/mem'),
    'the machine': () => fs.readdirSync('/'),
    home: () => fs.readdirSync('/root'),
    'gateway’s folder': () => fs.readdirSync(gateway),
    'change folder': () => process.chdir('/etc') ?? fs.readFileSync('passwd'),
    // --- writing
    ...each('write', targets, {
      sync: (file) => fs.writeFileSync(file, 'x'),
      append: (file) => fs.appendFileSync(file, 'x'),
      open: (file) => fs.openSync(file, 'a'),
      promise: (file) => fs.promises.writeFile(file, 'x'),
      rename: (file) => fs.renameSync(`${gateway}/state/registry.db`, file),
      remove: (file) => fs.rmSync(file),
      truncate: (file) => fs.truncateSync(file),
      chmod: (file) => fs.chmodSync(file, 0o777),
      utimes: (file) => fs.utimesSync(file, 0, 0),
      folder: (file) => fs.mkdirSync(file),
      stream: (file) =>
        new Promise((done, fail) =>
          fs
            .createWriteStream(file, { flags: 'a' })
            .on('error', fail)
            .end('x', (error) => (error ? fail(error) : done())),
        ),
      copy: (file) => fs.copyFileSync(`${gateway}/state/registry.db`, file),
      link: (file) => fs.linkSync(`${gateway}/state/registry.db`, file),
      symlink: (file) => fs.symlinkSync(`${gateway}/state/registry.db`, file),
    }),
    report: () => process.report.writeReport(`${outside}/report.json`),
    'heap snapshot': () => v8.writeHeapSnapshot(`${outside}/heap`),
    'a folder’s mode': () => fs.chmodSync(gateway, 0o777),
    'a folder elsewhere': () => fs.mkdtempSync(`${outside}/folder-`),
  };
  return { attempts, databases: databasesOf(secrets, outside) };
}

/** Databases: Node's permission model does not know of them. */
function databasesOf(secrets, outside) {
  const open = (file, sql) => {
    const { DatabaseSync } = process.getBuiltinModule('node:sqlite');
    const database = new DatabaseSync(file);
    const rows = database.prepare(sql).all();
    database.close();
    return rows;
  };
  return {
    'database made': () => open(`${outside}/made.db`, 'CREATE TABLE a (b)'),
    'database made, imported': async () =>
      new (await import('node:sqlite')).DatabaseSync(`${outside}/imported.db`).exec('CREATE TABLE a (b)'),
    'database made, required': () =>
      new (require('node:sqlite').DatabaseSync)(`${outside}/required.db`).exec('CREATE TABLE a (b)'),
    'database made, default': async () =>
      new (await import('node:sqlite')).default.DatabaseSync(`${outside}/default.db`).exec('CREATE TABLE a (b)'),
    'database attached': () => open(':memory:', `ATTACH '${outside}/attached.db' AS a`),
    'vacuum into': () => open(':memory:', `VACUUM INTO '${outside}/vacuum.db'`),
    extension: () => new (require('node:sqlite').DatabaseSync)(':memory:', { allowExtension: true }),
    ...each('database', secrets, { read: (file) => open(file, 'SELECT * FROM sqlite_schema') }),
  };
}

function each(verb, files, ways) {
  return Object.fromEntries(
    Object.entries(files).flatMap(([name, file]) =>
      Object.entries(ways).map(([way, attempt]) => [`${verb} ${name}: ${way}`, () => attempt(file)]),
    ),
  );
}

/**
 * Tries everything. @returns attempt -> the code of the error it ended with, `done`, or `false` for a question answered no
 * @param gateway its folder @param root the program's @param outside a folder of somebody else
 */
export async function tryEverything(gateway, root, outside) {
  const { attempts, databases } = attemptsOn(gateway, root, outside);
  return { attempts: await outcomesOf(attempts), databases: await outcomesOf(databases) };
}

async function outcomesOf(attempts) {
  const outcomes = {};
  for (const [name, attempt] of Object.entries(attempts)) {
    try {
      const result = await attempt();
      if (result instanceof Error) throw result;
      // A process or worker tells of its failure later.
      if (result && typeof result.once === 'function') {
        await new Promise((done, fail) => result.once('error', fail).once('exit', done).once('online', done));
      }
      outcomes[name] = result === false ? 'false' : 'done';
    } catch (error) {
      outcomes[name] = error.code ?? error.name;
    }
  }
  return outcomes;
}
