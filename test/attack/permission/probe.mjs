/** A process of its own with the gateway's flags: tries everything and prints one line of JSON. */
import { tryEverything } from './attempts.mjs';

const outcomes = await tryEverything(...process.argv.slice(2));
process.stdout.write(`${JSON.stringify(outcomes)}\n`, () => process.exit(0));
