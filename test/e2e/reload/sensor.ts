/** A sensor that posts one reading after the other over one connection, and remembers what went wrong. */
import { vi } from 'vitest';
import type { RunningGateway } from '../../fixtures/running-gateway.ts';

/** Runs from its making until it is stopped. */
export class Sensor {
  readonly errors: string[] = [];
  sent = 0;
  connections = 0;
  readonly #running: Promise<void>;
  #stopped = false;

  constructor(gateway: RunningGateway, id: string, body: (n: number) => string) {
    const agent = gateway.agent(id);
    agent.maxSockets = 1;
    const connecting = vi.spyOn(agent, 'createConnection');
    const run = async () => {
      while (!this.#stopped) {
        this.sent += 1;
        const answer = await gateway.send(agent, 'POST', '/v1/telemetry', body(this.sent)).catch(String);
        if (typeof answer === 'string' || answer.status !== 200) this.errors.push(JSON.stringify(answer));
        this.connections = connecting.mock.calls.length;
      }
    };
    this.#running = run();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }
}
