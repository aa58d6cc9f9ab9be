/** `sallyport keys list|rotate|retire`: the keys behind pseudonyms and tokens. Secrets are never shown. */
import { join } from 'node:path';
import type { Command } from 'commander';
import { ask } from '../admin/client.ts';
import { loadConfiguration } from '../config/load.ts';
import { Fault } from '../faults/fault.ts';
import { PrivacyKeys } from '../privacy/keys.ts';
import { DirectoryLock } from '../store/directory-lock.ts';
import { type Answer, answering } from './command.ts';
import { paint, table } from './terminal.ts';

/** Where the privacy keys lie within the gateway's folder. */
export function privacyKeyFile(directory: string): string {
  return join(directory, 'keys', 'privacy.json');
}

export function registerKeys(root: Command): void {
  const keys = root.command('keys').description('the keys of pseudonyms and tokens: list, rotate, retire');

  keys
    .command('list')
    .description('show the keys and their states; never a secret')
    .action(answering(({ directory }) => listed(PrivacyKeys.load(privacyKeyFile(directory)))));

  keys
    .command('rotate')
    .description('make a new key for everything from now on; tokens of the present one are still mapped back')
    .addHelpText(
      'after',
      '\nPseudonyms change with the key, and carry its id: p1.… becomes p2.…. To undo, restore keys/privacy.json from a backup.',
    )
    .action(
      answering(async ({ directory }) => {
        loadConfiguration(directory);
        PrivacyKeys.rotate(privacyKeyFile(directory));
        return changed(directory, 'rotated');
      }),
    );

  keys
    .command('retire')
    .description('give a former key up: its tokens are no longer mapped back')
    .argument('<id>', 'the number of the key')
    .action(
      answering(async ({ directory }, [id = '']) => {
        if (!/^\d{1,4}$/.test(id))
          throw new Fault('SP_USAGE', `"${id}" is not the number of a key; \`sallyport keys list\` shows them.`);
        PrivacyKeys.retire(privacyKeyFile(directory), Number(id));
        return changed(directory, `key ${id} retired`);
      }),
    );
}

/** A running gateway takes the keys over at once. */
async function changed(directory: string, what: string): Promise<Answer> {
  const live = DirectoryLock.isHeld(directory);
  if (live) await ask(directory, 'reload');
  const { json, text } = listed(PrivacyKeys.load(privacyKeyFile(directory)));
  const effect = live ? 'in the running gateway' : 'from the next start on';
  return { json: { keys: json, live }, text: `${paint('green', '✓')} ${what}, ${effect}\n${text}` };
}

function listed(keys: PrivacyKeys): Answer {
  const rows = keys.all.map(({ id, state, created }) => [String(id), state, created.slice(0, 10)]);
  const head = ['KEY', 'STATE', 'MADE'].map((word) => paint('dim', word));
  return { json: keys.all.map(({ id, state, created }) => ({ id, state, created })), text: table([head, ...rows]) };
}
