/** Command line entry: registers the commands, parses, and turns usage errors into exit code 2. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { registerAudit } from './cli/audit.ts';
import { registerCa } from './cli/ca.ts';
import { EXIT } from './cli/command.ts';
import { registerConfig } from './cli/config.ts';
import { registerDemo } from './cli/demo.ts';
import { registerDevice } from './cli/device.ts';
import { registerDoctor } from './cli/doctor.ts';
import { registerExplain } from './cli/explain.ts';
import { registerInit } from './cli/init.ts';
import { registerKeys } from './cli/keys.ts';
import { registerPolicy } from './cli/policy.ts';
import { registerRun } from './cli/run.ts';
import { registerStatus } from './cli/status.ts';

/** The whole command line. docs.test.ts builds it too, to hold docs/cli.md to what --help says. */
export function program(): Command {
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
  for (const register of [
    registerInit,
    registerRun,
    registerDemo,
    registerDevice,
    registerCa,
    registerKeys,
    registerExplain,
    registerPolicy,
    registerConfig,
    registerAudit,
    registerStatus,
    registerDoctor,
  ]) {
    register(root);
  }
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
  try {
    await program().parseAsync();
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    process.exitCode = error.exitCode === 0 ? EXIT.yes : EXIT.usage;
  }
}
