/**
 * Code inside the running gateway itself, as after a successful attack: loaded with it, waits for the file run/go, tries
 * everything, and leaves the outcomes in run/outcomes.json.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { tryEverything } from './attempts.mjs';

const [gateway, root, outside] = JSON.parse(process.env.SALLYPORT_IMPLANT);
const timer = setInterval(async () => {
  // The launcher carries this too, but not for long.
  if (!process.permission || !existsSync(`${gateway}/run/go`)) return;
  clearInterval(timer);
  writeFileSync(`${gateway}/run/outcomes.json`, JSON.stringify(await tryEverything(gateway, root, outside)));
}, 50);
timer.unref();
