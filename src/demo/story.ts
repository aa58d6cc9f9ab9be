/**
 * The demo's story: what each simulated device does and what it must get for it. Every act has one expected ending; an act
 * that ends otherwise is a fault, and a raw value that reached the cloud, the ledger or the log is a leak.
 */
import { once } from 'node:events';
import type { WebSocket } from 'ws';
import { ask } from '../admin/client.ts';
import { verifyLedger } from '../ledger/verify.ts';
import type { CloudMessage } from './cloud.ts';
import type { DeviceAnswer, SimulatedDevice } from './device.ts';
import { type House, openHouse } from './house.ts';
import type { SmallDevice } from './small-device.ts';

/** Values that must never leave the passage, in the clear. */
const SECRETS = ['SN-1', 'SN-2', 'Ada Lovelace', 'CAM-77', '52.51627', 'hunter2'];

export type StoryEvent =
  | { readonly event: 'ready'; readonly readyMs: number; readonly https: string; readonly directory: string }
  | {
      readonly event: 'permitted';
      readonly device: string;
      readonly action: string;
      readonly sent: string;
      readonly received: string;
    }
  | {
      readonly event: 'denied';
      readonly device: string;
      readonly action: string;
      readonly reason: string;
      readonly decision?: string;
    }
  | { readonly event: 'changed'; readonly device: string; readonly action: string; readonly tookMs: number }
  | {
      readonly event: 'fault';
      readonly device: string;
      readonly action: string;
      readonly expected: string;
      readonly got: string;
    }
  | { readonly event: 'leak'; readonly where: string };

export interface Summary {
  readonly readyMs: number;
  readonly permitted: number;
  readonly denied: number;
  readonly faults: number;
  readonly leaks: number;
  readonly seconds: number;
  readonly ledgerRecords: number;
  readonly ledgerVerifies: boolean;
}

export interface StoryOptions {
  /** Ends after this long, or when `signal` aborts. */
  readonly seconds?: number;
  readonly signal: AbortSignal;
  tell(event: StoryEvent): void;
}

const ROUND_MS = 1_000;

/** Plays until the time is over or the signal comes. At least one whole round. */
export async function play(options: StoryOptions): Promise<Summary> {
  const received: CloudMessage[] = [];
  const house = await openHouse((message) => received.push(message));
  const story = new Story(house, received, options.tell);
  options.tell({ event: 'ready', readyMs: house.readyMs, https: house.https, directory: house.directory });
  const started = performance.now();
  const end = options.seconds === undefined ? Number.POSITIVE_INFINITY : started + options.seconds * 1_000;
  try {
    for (let round = 0; round === 0 || (performance.now() < end && !options.signal.aborted); round++) {
      const next = started + (round + 1) * ROUND_MS;
      await story.round(round);
      await pause(Math.min(next, end) - performance.now(), options.signal);
    }
    await house.stop();
    const verification = await verifyLedger(`${house.directory}/ledger`);
    story.lookForLeaks('the log or the ledger', house.written());
    if (!verification.ok)
      options.tell({
        event: 'fault',
        device: 'gateway',
        action: 'audit verify',
        expected: 'ok',
        got: verification.firstProblem?.problem ?? 'no',
      });
    return {
      readyMs: house.readyMs,
      permitted: story.permitted,
      denied: story.denied,
      faults: story.faults + (verification.ok ? 0 : 1),
      leaks: story.leaks,
      seconds: Math.round((performance.now() - started) / 1_000),
      ledgerRecords: verification.records,
      ledgerVerifies: verification.ok,
    };
  } finally {
    await house.stop().catch(() => undefined);
    house.remove();
  }
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  if (milliseconds <= 0 || signal.aborted) return Promise.resolve();
  return new Promise((done) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      done();
    };
    const timer = setTimeout(end, milliseconds);
    signal.addEventListener('abort', end);
  });
}

/** A device, whatever it speaks. */
type Sender = Pick<SimulatedDevice, 'id' | 'send'> & { readonly over?: string };

function actionOf({ over }: Sender, verb: string, path: string): string {
  return over === undefined ? `${verb} ${path}` : `${verb} ${path} (${over})`;
}

class Story {
  readonly #house: House;
  readonly #received: CloudMessage[];
  readonly #tell: (event: StoryEvent) => void;
  #camera: WebSocket | undefined;
  #frame = 0;
  permitted = 0;
  denied = 0;
  faults = 0;
  leaks = 0;

  constructor(house: House, received: CloudMessage[], tell: (event: StoryEvent) => void) {
    this.#house = house;
    this.#received = received;
    this.#tell = tell;
  }

  async round(round: number): Promise<void> {
    const { devices, thieves, probe, valve, pretender } = this.#house;
    await this.#passes(
      devices['thermo-1'],
      'POST',
      '/v1/telemetry',
      `{"serial":"SN-1","temperature":${(21 + (round % 10) / 10).toFixed(1)},"owner":"Ada Lovelace"}`,
    );
    await this.#passes(
      devices['thermo-2'],
      'POST',
      '/v1/telemetry',
      '{"serial":"SN-2","humidity":40,"location":{"lat":52.51627,"lon":13.37770}}',
    );
    await this.#passes(probe, 'POST', '/v1/telemetry', '{"serial":"SN-1","temperature":4.5,"owner":"Ada Lovelace"}');
    await this.#passes(devices['thermo-1'], 'GET', '/v1/devices/thermo-1/config');
    await this.#refused(probe, 'GET', '/admin', undefined, 'no-route');
    await this.#refused(devices['greedy-9'], 'GET', '/admin', undefined, 'no-route');
    await this.#refused(devices['greedy-9'], 'GET', '/v1/devices/thermo-1/config', undefined, 'no-route');
    await this.#refused(
      devices['greedy-9'],
      'POST',
      '/v1/telemetry',
      '{"temperature":1,"temperature":2,"password":"hunter2"}',
      'SP_PAYLOAD_DUPLICATE_KEY',
    );
    await this.#turnedAway(thieves.foreign);
    await this.#turnedAway(thieves.unregistered);
    await this.#turnedAway(pretender, 'DTLS handshake', 'wrong pre-shared key');
    await this.#obeys(valve);
    await this.#film(round);
    if (round === 2) await this.#disable(devices['thermo-2']);
  }

  /** Raw values in what left, or in what was written down. */
  lookForLeaks(where: string, text: string): void {
    for (const secret of SECRETS) {
      if (!text.includes(secret)) continue;
      this.leaks += 1;
      this.#tell({ event: 'leak', where: `${where}: ${secret}` });
    }
  }

  async #passes(device: Sender, verb: string, path: string, body?: string): Promise<void> {
    const action = actionOf(device, verb, path);
    this.#received.length = 0;
    const answer = await device.send(verb, path, body);
    const arrived = this.#take();
    if (answer.status !== 200 || arrived.length !== 1)
      return this.#unexpected(device.id, action, '200 and one message at the cloud', answer, arrived.length);
    this.permitted += 1;
    this.#tell({ event: 'permitted', device: device.id, action, sent: body ?? '', received: arrived[0]?.body ?? '' });
  }

  async #refused(device: Sender, verb: string, path: string, body: string | undefined, reason: string): Promise<void> {
    const action = actionOf(device, verb, path);
    const answer = await device.send(verb, path, body);
    const arrived = this.#take();
    if (answer.reason !== reason || arrived.length !== 0)
      return this.#unexpected(device.id, action, reason, answer, arrived.length);
    this.denied += 1;
    this.#tell({
      event: 'denied',
      device: device.id,
      action,
      reason,
      ...(answer.decision !== undefined && { decision: answer.decision }),
    });
  }

  async #turnedAway(thief: Sender, action = 'TLS handshake', reason = 'unknown-identity'): Promise<void> {
    const answer = await thief.send('POST', '/v1/telemetry', '{"temperature":99}');
    const arrived = this.#take();
    if (answer.status !== 0 || arrived.length !== 0)
      return this.#unexpected(thief.id, action, 'no connection', answer, arrived.length);
    this.denied += 1;
    this.#tell({ event: 'denied', device: thief.id, action, reason });
  }

  /** An actuator hears from the cloud what it is to do. */
  async #obeys(valve: SmallDevice): Promise<void> {
    const action = `observes /v1/commands/${valve.id} (CoAP)`;
    try {
      const heard = await valve.told(`/v1/commands/${valve.id}`);
      if (!/^\{"valve":"(?:open|closed)"\}$/.test(heard))
        return this.#unexpected(valve.id, action, 'a command', { status: 0, body: heard }, 0);
      this.permitted += 1;
      this.#tell({ event: 'permitted', device: valve.id, action, sent: '', received: '' });
    } catch (thrown) {
      this.#unexpected(valve.id, action, 'a command', { status: 0, body: '', error: (thrown as Error).message }, 0);
    }
  }

  async #film(round: number): Promise<void> {
    const { 'camera-2': camera } = this.#house.devices;
    const action = 'WS /v1/frames/camera-2';
    try {
      this.#camera ??= await camera.open('/v1/frames/camera-2');
      const socket = this.#camera;
      for (let count = 0; count < 5; count++) {
        const sent = `{"camera":"CAM-77","frame":${this.#frame++},"persons":${count}}`;
        const answered = once(socket, 'message', { signal: AbortSignal.timeout(5_000) });
        socket.send(sent);
        await answered;
        const [arrived] = this.#take();
        this.permitted += 1;
        this.#tell({ event: 'permitted', device: camera.id, action, sent, received: arrived?.body ?? '' });
      }
      if (round % 5 !== 1) return;
      const closed = once(socket, 'close', { signal: AbortSignal.timeout(5_000) });
      socket.send(`{"camera":"CAM-77","frame":0,"picture":"${'x'.repeat(20_000)}"}`);
      const [code, reason] = (await closed) as [number, Buffer];
      this.#camera = undefined;
      if (code !== 1009)
        return this.#unexpected(camera.id, action, 'close 1009', { status: code, body: reason.toString() }, 0);
      this.denied += 1;
      this.#tell({ event: 'denied', device: camera.id, action, reason: 'SP_WEBSOCKET_TOO_LARGE' });
    } catch (thrown) {
      this.#camera?.terminate();
      this.#camera = undefined;
      this.#unexpected(
        camera.id,
        action,
        'messages through an open WebSocket',
        { status: 0, body: '', error: (thrown as Error).message },
        0,
      );
    }
  }

  /** The operator disables a device while it is connected: its next message finds the door closed. */
  async #disable(device: SimulatedDevice): Promise<void> {
    const { directory } = this.#house;
    const started = performance.now();
    await ask(directory, 'device-state', { id: device.id, state: 'disabled' });
    const answer = await device.send('POST', '/v1/telemetry', '{"temperature":20}');
    const tookMs = Math.round(performance.now() - started);
    const arrived = this.#take();
    if (answer.status !== 0 || arrived.length > 0)
      this.#unexpected(device.id, 'device disable', 'no connection', answer, arrived.length);
    else this.denied += 1;
    this.#tell({ event: 'changed', device: device.id, action: 'device disable', tookMs });
    await ask(directory, 'device-state', { id: device.id, state: 'active' });
    this.#tell({ event: 'changed', device: device.id, action: 'device enable', tookMs: 0 });
  }

  /** What reached the cloud since the last look; each message is searched for raw values. */
  #take(): CloudMessage[] {
    const arrived = this.#received.splice(0);
    for (const { target, headers, body } of arrived) this.lookForLeaks('the cloud', `${target}\n${headers}\n${body}`);
    return arrived;
  }

  #unexpected(device: string, action: string, expected: string, answer: DeviceAnswer, arrived: number): void {
    this.faults += 1;
    const got = `${answer.status} ${answer.reason ?? answer.error ?? answer.body.slice(0, 80)}, ${arrived} messages at the cloud`;
    this.#tell({ event: 'fault', device, action, expected, got });
  }
}
