/**
 * Code inside the running gateway itself, as after a successful attack: loaded with it, waits for the file run/go-<pid>, tries
 * everything, and leaves the outcomes in run/outcomes-<pid>.json.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { tryEverything } from './attempts.mjs';

const [gateway, root, outside] = JSON.parse(process.env.SALLYPORT_IMPLANT);
const timer = setInterval(async () => {
  // The launcher carries this too, but not for long.
  if (!process.permission || !existsSync(`${gateway}/run/go-${process.pid}`)) return;
  clearInterval(timer);
  writeFileSync(
    `${gateway}/run/outcomes-${process.pid}.json`,
    JSON.stringify(await tryEverything(gateway, root, outside)),
  );
}, 50);
timer.unref();
