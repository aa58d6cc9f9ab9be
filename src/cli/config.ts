/** `sallyport config check|explain`: is the file right, and what does a key mean? */
import type { Command } from 'commander';
import { ask } from '../admin/client.ts';
import { describeKeys } from '../config/describe.ts';
import { nearest } from '../config/problem.ts';
import type { Settings } from '../config/settings.ts';
import { Fault } from '../faults/fault.ts';
import { provision } from '../provision.ts';
import { answering } from './command.ts';
import { paint, table } from './terminal.ts';
import { devicesInUse, strandedDevices, unusedRego, type Worry } from './worries.ts';

export function registerConfig(root: Command): void {
  const config = root.command('config').description('check the configuration, explain its keys');

  config
    .command('check')
    .description('read sallyport.yaml, its files and its policy as the gateway would, and report every problem')
    .action(
      answering(async ({ directory }) => {
        const { settings, revision } = await provision(directory);
        const counts = {
          upstreams: settings.upstreams.size,
          segments: settings.segments.size,
          routes: [...settings.segments.values()].reduce((sum, { routes }) => sum + routes.length, 0),
          privacy: settings.privacy.size,
        };
        const listed = Object.entries(counts).map(([what, count]) => `${count} ${what}`);
        const warnings = await warningsOf(settings);
        const text = `${paint('green', '✓')} sallyport.yaml is right: ${listed.join(', ')}; revision ${revision}`;
        return { json: { ok: true, revision, ...counts, warnings }, text: [text, ...warnings.map(warning)].join('\n') };
      }),
    );

  config
    .command('reload')
    .description(
      'let the running gateway take over sallyport.yaml, certificates and policy; a broken file changes nothing',
    )
    .action(
      answering(async ({ directory }) => {
        const { settings } = await provision(directory);
        const warnings = await warningsOf(settings);
        const result = await ask(directory, 'reload');
        const text = `${paint('green', '✓')} revision ${result.revision}; ${result.reconsidered} sessions decided anew, ${result.closed} closed${result.restart.length > 0 ? `\n  ${paint('yellow', '!')} needs a restart: ${result.restart.join(', ')}` : ''}`;
        return { json: { ...result, warnings }, text: [text, ...warnings.map(warning)].join('\n') };
      }),
    );

  config
    .command('explain')
    .description('say what a key means, its default and how it is written')
    .argument('[key]', 'a key or the beginning of one, e.g. segments or limits.headerBytes; all keys when left out')
    .action(
      answering((_, [key = '']) => {
        const all = describeKeys();
        const plain = (name: string) => name.replaceAll('.<name>', '');
        const rows = all.filter((row) => plain(row.key) === key || plain(row.key).startsWith(`${key}.`) || key === '');
        const last = all.filter((row) => row.key.split('.').at(-1) === key);
        const found = rows.length > 0 ? rows : last;
        if (found.length === 0) {
          const guess = nearest(
            key,
            all.flatMap((row) => [plain(row.key), row.key.split('.').at(-1) ?? '']),
          );
          throw new Fault('SP_USAGE', `There is no key "${key}".${guess ? ` Did you mean "${guess}"?` : ''}`);
        }
        const lines = found.map((row) => [
          paint('bold', row.key),
          row.fallback === '' ? 'optional' : row.fallback,
          row.text,
        ]);
        return { json: found, text: table(lines) };
      }),
    );
}

/** What is right as YAML and probably not meant. A registry that cannot be read is doctor's to tell. */
async function warningsOf(settings: Settings): Promise<readonly Worry[]> {
  const devices = await devicesInUse(settings).catch(() => []);
  return [...strandedDevices(settings, devices), ...unusedRego(settings)];
}

function warning({ text, remedy }: Worry): string {
  return `${paint('yellow', '!')} ${text}\n  → ${remedy}`;
}
