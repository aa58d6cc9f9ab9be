/**
 * A device, the gateway's WebSocket path with the real pipeline in the middle, and a cloud, all on loopback. Policy, privacy
 * and ledger are plain functions of the test.
 */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';
import { DEFAULT_LIMITS, type Limits } from '../../../../src/config/settings.ts';
import type { Arrival } from '../../../../src/exchange/arrival.ts';
import type { Decision, DecisionRecord, Gate, Passage, Session } from '../../../../src/exchange/gate.ts';
import type { Identified } from '../../../../src/exchange/identified.ts';
import type { Outcome } from '../../../../src/exchange/outcome.ts';
import { pass, reconsider } from '../../../../src/exchange/pipeline.ts';
import type { FaultCode } from '../../../../src/faults/catalogue.ts';
import type { DropReason } from '../../../../src/faults/drop.ts';
import { checkRequest } from '../../../../src/listeners/https/check-request.ts';
import type { UpgradeRequest } from '../../../../src/listeners/https/upgrader.ts';
import { WebSocketListener } from '../../../../src/listeners/websocket/listener.ts';
import { dialler, parseOrigin } from '../../../../src/upstreams/dial.ts';
import { WebSocketUpstream } from '../../../../src/upstreams/websocket.ts';
import { DEVICE, PEER, TRANSPARENT } from '../../websocket/sealed-message.ts';
import { RawClient } from '../../websocket/wire.ts';

export const PERMIT: Decision = { allow: true, obligations: { route: 'cameras/frames', upstream: 'cloud' } };

export interface StageOptions {
  readonly limits?: Partial<Limits>;
  readonly decide?: (identified: Identified) => Decision | Promise<Decision>;
  readonly gate?: (gate: Gate) => Partial<Gate>;
  /** What the cloud answers a subprotocol offer with. */
  readonly subprotocol?: string;
}

export class Stage {
  readonly records: DecisionRecord[] = [];
  readonly outcomes: { readonly arrival: Arrival; readonly outcome: Outcome }[] = [];
  readonly drops: DropReason[] = [];
  readonly refusals: FaultCode[] = [];
  readonly sessions = new Set<Session>();
  /** The cloud's ends. */
  readonly clouds: WebSocket[] = [];
  readonly cloudRequests: IncomingMessage[] = [];
  /** What the cloud heard, in order. */
  readonly heard: string[] = [];
  attended = 0;
  listener!: WebSocketListener;
  #port = 0;
  readonly #devices: { terminate(): void }[] = [];
  readonly #undo: (() => void)[] = [];

  static async open(options: StageOptions = {}): Promise<Stage> {
    const stage = new Stage();
    const cloudPort = await stage.#cloud(options.subprotocol);
    const limits = { ...DEFAULT_LIMITS, ...options.limits };
    const origin = parseOrigin(`http://127.0.0.1:${cloudPort}`, false);
    const dial = dialler(origin, undefined, 2_000);
    const upstream = new WebSocketUpstream({ name: 'cloud', origin, dial, timeoutMs: 2_000, limits });
    const gate: Gate = {
      identifier: { identify: () => DEVICE, admit: () => undefined },
      decider: { revision: '1', decide: options.decide ?? (() => PERMIT) },
      transformer: TRANSPARENT,
      recorder: {
        record: async (record) => {
          stage.records.push(record);
        },
        outcome: () => {},
      },
      forwarder: {
        forward: async (sealed) => {
          const { channel, signal } = sealed.permitted.identified.arrival;
          if (channel === undefined) return upstream.open(sealed, signal);
          await channel.send(sealed);
          return { status: 204, headers: [], contentType: '', body: { kind: 'empty' } };
        },
      },
      now: () => Date.now(),
      micros: () => performance.now() * 1_000,
      decisionId: () => randomUUID(),
      observe: (arrival, outcome) => stage.outcomes.push({ arrival, outcome }),
    };
    await stage.#gateway({ ...gate, ...options.gate?.(gate) }, limits);
    return stage;
  }

  async #cloud(subprotocol: string | undefined): Promise<number> {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1', handleProtocols: () => subprotocol ?? false });
    await once(server, 'listening');
    server.on('connection', (socket, request) => {
      socket.on('error', () => {});
      socket.on('message', (data, binary) => this.heard.push(binary ? `binary ${data}` : String(data)));
      this.clouds.push(socket);
      this.cloudRequests.push(request);
    });
    this.#undo.push(() => {
      for (const socket of this.clouds) socket.terminate();
      server.close();
    });
    return (server.address() as AddressInfo).port;
  }

  async #gateway(gate: Gate, limits: Limits): Promise<void> {
    const passage: Passage = {
      decisionId: () => gate.decisionId(),
      now: () => gate.now(),
      admit: () => undefined,
      pass: (arrival) => pass(arrival, gate),
      reconsider: async (arrival) => {
        const outcome = await reconsider(arrival, gate);
        if (outcome?.kind === 'failed') throw outcome.fault;
        return outcome;
      },
      attend: (session) => {
        this.sessions.add(session);
        return () => this.sessions.delete(session);
      },
      drop: (reason) => this.drops.push(reason),
      refuse: (code) => this.refusals.push(code),
    };
    const listener = new WebSocketListener({ listener: 'https', limits, passage });
    this.listener = listener;
    const server = createServer();
    server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
      const attended = () => {
        this.attended += 1;
      };
      listener.upgrade(request as UpgradeRequest, checkRequest(request, limits), PEER, socket, head, attended);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    this.#port = (server.address() as AddressInfo).port;
    this.#undo.push(() => server.close());
  }

  /** A device that keeps to the rules. */
  device(path = '/v1/frames', subprotocols: string[] = [], headers: Record<string, string> = {}): WebSocket {
    const device = new WebSocket(`ws://127.0.0.1:${this.#port}${path}`, subprotocols, { headers });
    device.on('error', () => {});
    this.#devices.push(device);
    return device;
  }

  /** One that is connected, with the cloud's end of it. */
  async pair(path?: string): Promise<{ device: WebSocket; cloud: WebSocket }> {
    const device = this.device(path);
    await once(device, 'open');
    return { device, cloud: this.clouds.at(-1) as WebSocket };
  }

  /** One that need not keep to any rule. */
  raw(path = '/v1/frames', headers: readonly string[] = []): RawClient {
    const client = RawClient.connect(this.#port, path, headers);
    this.#devices.push({ terminate: () => client.socket.destroy() });
    return client;
  }

  close(): void {
    for (const device of this.#devices) device.terminate();
    for (const step of this.#undo) step();
  }
}

/** How a WebSocket was closed, as its owner sees it. */
export async function closeOf(socket: WebSocket): Promise<string> {
  if (socket.readyState === socket.CLOSED) throw new Error('closed already');
  const [code, reason] = await once(socket, 'close');
  return `${code} ${reason}`.trim();
}
