/** `sallyport demo`: everything at once in a temporary folder, and what each message met; its stand-ins also on their own. */
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { printable } from '../config/problem.ts';
import { CloudStandIn } from '../demo/cloud.ts';
import { SimulatedDevice } from '../demo/device.ts';
import { play, type StoryEvent, type Summary } from '../demo/story.ts';
import { Fault } from '../faults/fault.ts';
import { Authority } from '../identity/ca/authority.ts';
import { devicePaths } from '../identity/device-folder.ts';
import { answering, EXIT } from './command.ts';
import { columns, paint } from './terminal.ts';

export function registerDemo(root: Command): void {
  const demo = root
    .command('demo')
    .description('a gateway, a cloud and devices, well-behaved and not, in a temporary folder: watch what passes')
    .option('--seconds <count>', 'end after this long; until Ctrl-C when left out')
    .addHelpText(
      'after',
      '\nWithout a terminal it prints one line of JSON per event. Exit code 0 only if every device got exactly what it should.',
    )
    .action(
      answering<{ seconds?: string }>(async ({ json }, _, { seconds }) => {
        const limit = seconds === undefined ? undefined : Number(seconds);
        if (limit !== undefined && !(limit > 0 && limit <= 86_400))
          throw new Fault('SP_USAGE', `--seconds ${seconds}: a number from 1 to 86400.`);
        const machine = json || !process.stdout.isTTY;
        const teller = machine ? tellLine : new Narrator().tell;
        if (!machine)
          process.stdout.write(
            `${paint('bold', 'Sallyport demo')}   own CA, policy, ledger and cloud stand-in in a temporary folder\n`,
          );
        const summary = await play({
          ...(limit !== undefined && { seconds: limit }),
          signal: interrupted(),
          tell: teller,
        });
        const exit = summary.faults === 0 && summary.leaks === 0 ? EXIT.yes : EXIT.no;
        return { json: summary, text: machine ? JSON.stringify(summary) : closing(summary), exit };
      }),
    );

  demo
    .command('cloud')
    .description('only the cloud stand-in, for a gateway made with --cloud-ca authority')
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option('--port <port>', 'port to listen on', '9443')
    .option('--name <name...>', 'the names it is called by', ['localhost'])
    .action(
      answering<{ host: string; port: string; name: string[] }>(
        async ({ directory, json }, _, { host, port, name }) => {
          const authority = await Authority.open(directory);
          const { certificatePem, keyPem = '' } = await authority.issueServer(name, []);
          const cloud = new CloudStandIn(
            { certificatePem, keyPem, authorityPem: authority.certificate },
            ({ verb, target, body, decision }) => {
              const line =
                json || !process.stdout.isTTY
                  ? JSON.stringify({ verb, target, body, decision })
                  : `${verb} ${printable(target)}  ${printable(body)}`;
              process.stdout.write(`${line}\n`);
            },
          );
          await cloud.listen(Number(port), host);
          await untilAborted(interrupted());
          await cloud.close();
          return undefined;
        },
      ),
    );

  demo
    .command('device')
    .description('only a device that was added before: posts a reading each second and shows the answer')
    .argument('<id>', 'the device')
    .option('--gateway <url>', 'where the gateway is', 'https://localhost:8443')
    .option('--count <count>', 'how many readings; until Ctrl-C when left out')
    .action(
      answering<{ gateway: string; count?: string }>(async ({ directory, json }, [id = ''], { gateway, count }) => {
        const url = new URL(gateway);
        const paths = devicePaths(directory, id);
        const read = (file: string) => readFileSync(file, 'utf8');
        const certificates = {
          certificatePem: read(paths.certificate),
          keyPem: read(paths.key),
          authorityPem: read(paths.ca),
        };
        const device = new SimulatedDevice(id, certificates, url.hostname, Number(url.port || 443));
        const signal = interrupted();
        let refused = 0;
        for (let sent = 0; !signal.aborted && sent < Number(count ?? Number.POSITIVE_INFINITY); sent++) {
          const answer = await device.send(
            'POST',
            '/v1/telemetry',
            JSON.stringify({ serial: id, temperature: 20 + (sent % 50) / 10 }),
          );
          if (answer.status !== 200) refused += 1;
          process.stdout.write(
            `${json || !process.stdout.isTTY ? JSON.stringify(answer) : `${answer.status} ${printable(answer.body)}`}\n`,
          );
          await new Promise((later) => setTimeout(later, 1_000));
        }
        device.close();
        return { json: { refused }, text: `${refused} refused`, exit: refused === 0 ? EXIT.yes : EXIT.no };
      }),
    );
}

function interrupted(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => controller.abort());
  return controller.signal;
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((done) => signal.addEventListener('abort', () => done(), { once: true }));
}

function tellLine(event: StoryEvent): void {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}

/** Tells each kind of thing once in full; from then on one line every few seconds. */
class Narrator {
  readonly #told = new Set<string>();
  #permitted = 0;
  #denied = 0;
  #lastLineAt = performance.now();

  readonly tell = (event: StoryEvent): void => {
    if (event.event === 'permitted') this.#permitted += 1;
    if (event.event === 'denied') this.#denied += 1;
    const kind = `${event.event} ${'device' in event ? event.device : ''} ${'action' in event ? event.action : ''} ${'reason' in event ? event.reason : ''}`;
    const fresh = !this.#told.has(kind) || event.event === 'fault' || event.event === 'leak';
    this.#told.add(kind);
    if (fresh) process.stdout.write(`${rendered(event)}\n`);
    else if (performance.now() - this.#lastLineAt > 5_000) {
      this.#lastLineAt = performance.now();
      process.stdout.write(
        paint('dim', `  … ${this.#permitted} permitted, ${this.#denied} denied so far; Ctrl-C ends and sums up\n`),
      );
    }
  };
}

function rendered(event: StoryEvent): string {
  switch (event.event) {
    case 'ready':
      return `ready in ${(event.readyMs / 1_000).toFixed(1)} s       https ${event.https}\n`;
    case 'permitted': {
      const head = `${paint('green', '✓')} ${act(event.device, event.action)}`;
      if (event.sent === '') return head;
      const line = (label: string, text: string) => `\n      ${paint('dim', label.padEnd(15))}${clipped(text)}`;
      return `${head}${line('sent', event.sent)}${line('the cloud got', event.received)}`;
    }
    case 'denied': {
      const hint = event.decision === undefined ? '' : paint('dim', `  decision ${event.decision}`);
      return `${paint('red', '✗')} ${act(event.device, event.action)}${paint('red', event.reason)}${hint}`;
    }
    case 'changed':
      return `${paint('yellow', '!')} ${act(event.device, event.action)}${event.tookMs > 0 ? `its connection closed and refused after ${event.tookMs} ms` : 'back again'}`;
    case 'fault':
      return `${paint('red', '‼')} ${act(event.device, event.action)}expected ${event.expected}, got ${printable(event.got)}`;
    case 'leak':
      return `${paint('red', '‼ a raw value in')} ${event.where}`;
  }
}

function act(device: string, action: string): string {
  return `${device.padEnd(10)} ${action.padEnd(31)} `;
}

function clipped(text: string): string {
  const room = Math.max(20, columns() - 22);
  return text.length > room ? `${text.slice(0, room - 1)}…` : text;
}

function closing(summary: Summary): string {
  const clear =
    summary.leaks === 0 ? paint('green', '0 left in clear') : paint('red', `${summary.leaks} LEFT IN CLEAR`);
  const faults = summary.faults === 0 ? '' : paint('red', `, ${summary.faults} not as they should be`);
  return `
${summary.permitted} permitted, ${summary.denied} denied, ${clear}${faults}. The ledger’s ${summary.ledgerRecords} records ${summary.ledgerVerifies ? 'verify' : 'DO NOT VERIFY'}.

Next, with your own device:
  npx sallyport init ./gw --cloud http://127.0.0.1:9001 --https-port 8443
  npx sallyport -C ./gw device add thermo-1 --segment sensors
  npx sallyport -C ./gw run`;
}
