/** Command line entry: registers the commands, parses, and turns usage errors into exit code 2. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { EXIT } from './cli/command.ts';

type Register = (root: Command) => void;

/** In the order of --help. Loaded when named: a gateway that runs need not hold what makes certificates. */
const COMMANDS: Readonly<Record<string, () => Promise<Register>>> = {
  init: async () => (await import('./cli/init.ts')).registerInit,
  run: async () => (await import('./cli/run.ts')).registerRun,
  demo: async () => (await import('./cli/demo.ts')).registerDemo,
  device: async () => (await import('./cli/device.ts')).registerDevice,
  ca: async () => (await import('./cli/ca.ts')).registerCa,
  keys: async () => (await import('./cli/keys.ts')).registerKeys,
  explain: async () => (await import('./cli/explain.ts')).registerExplain,
  policy: async () => (await import('./cli/policy.ts')).registerPolicy,
  config: async () => (await import('./cli/config.ts')).registerConfig,
  audit: async () => (await import('./cli/audit.ts')).registerAudit,
  status: async () => (await import('./cli/status.ts')).registerStatus,
  doctor: async () => (await import('./cli/doctor.ts')).registerDoctor,
};

/**
 * The command line, with the commands that these words may mean, or all of them. docs.test.ts builds it whole, to hold
 * docs/cli.md to what --help says.
 */
export async function program(words: readonly string[] = []): Promise<Command> {
  const root = new Command('sallyport')
    .description('The zero-trust gateway for devices.')
    .version(version(), '-V, --version', 'print the version')
    .option('-C, --directory <dir>', 'the gateway’s folder, where sallyport.yaml is', '.')
    .option('--json', 'print one line of JSON instead of text')
    .showSuggestionAfterError()
    .showHelpAfterError('(add --help to see how it is used)')
    .exitOverride()
    .configureHelp({ sortSubcommands: false, showGlobalOptions: true })
    .addHelpText(
      'after',
      `
First device in five minutes:
  sallyport init ./gw --cloud http://127.0.0.1:9001 --https-port 8443
  sallyport -C ./gw device add thermo-1 --segment sensors
  sallyport -C ./gw run

Exit codes: 0 yes, 1 no, 2 usage or configuration, 3 gateway not reachable.`,
    );
  // A folder may be called like a command: then both are there, and it is the parser that says which is which.
  const named = Object.keys(COMMANDS).filter((name) => words.includes(name));
  const wanted = named.length > 0 && !words.includes('help') ? named : Object.keys(COMMANDS);
  for (const name of wanted) (await (COMMANDS[name] as () => Promise<Register>)())(root);
  inherit(root);
  return root;
}

/** Every command understands --json and -C, before or after its name, and throws instead of exiting. */
function inherit(command: Command): void {
  for (const child of command.commands) {
    child.exitOverride().showSuggestionAfterError().showHelpAfterError('(add --help to see how it is used)');
    child.copyInheritedSettings(command);
    if (child.commands.length === 0) {
      if (!child.options.some((option) => option.long === '--json')) {
        child.option('--json', 'print one line of JSON instead of text');
      }
      child.option('-C, --directory <dir>', 'the gateway’s folder');
    }
    inherit(child);
  }
}

function version(): string {
  const file = new URL('../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

if (import.meta.main) {
  // Whatever any command creates is for its owner alone.
  process.umask(0o077);
  // `sallyport --help | head`: who has read enough is not an error.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  try {
    await (await program(process.argv.slice(2))).parseAsync();
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    process.exitCode = error.exitCode === 0 ? EXIT.yes : EXIT.usage;
  }
}
