/** A well-behaved device that goes on sending while something else is attacked. What it gets is what users would get. */
import type { RunningGateway } from '../../fixtures/running-gateway.ts';

export interface GoodOptions {
  readonly id: string;
  readonly path?: string;
  readonly intervalMs?: number;
}

export interface GoodReport {
  readonly sent: number;
  /** What was not answered with 200, in words. */
  readonly errors: readonly string[];
  readonly worstMs: number;
}

export class GoodClient {
  readonly #running: Promise<void>;
  readonly #errors: string[] = [];
  #sent = 0;
  #worstMs = 0;
  #stopped = false;

  constructor(gateway: RunningGateway, { id, path = '/v1/telemetry', intervalMs = 25 }: GoodOptions) {
    const agent = gateway.agent(id);
    this.#running = this.#run(async () => {
      const { status, body } = await gateway.send(agent, 'POST', path, `{"temperature":${20 + (this.#sent % 10)}}`);
      if (status !== 200) throw new Error(`${status} ${body}`);
    }, intervalMs);
  }

  /** Ends it and tells how it went. */
  async stop(): Promise<GoodReport> {
    this.#stopped = true;
    await this.#running;
    return { sent: this.#sent, errors: this.#errors, worstMs: this.#worstMs };
  }

  async #run(once: () => Promise<void>, intervalMs: number): Promise<void> {
    while (!this.#stopped) {
      const began = performance.now();
      this.#sent += 1;
      await once().catch((thrown: unknown) => this.#errors.push(String(thrown)));
      this.#worstMs = Math.max(this.#worstMs, performance.now() - began);
      await new Promise((later) => setTimeout(later, intervalMs));
    }
  }
}
