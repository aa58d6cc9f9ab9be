/** A simulated device: its own key and certificate, HTTPS with keep-alive, and WebSocket. It knows nothing of the gateway's inside. */
import { Agent, request } from 'node:https';
import { WebSocket } from 'ws';

export interface DeviceCertificates {
  readonly certificatePem: string;
  readonly keyPem: string;
  /** The authority of the gateway's own certificate. */
  readonly authorityPem: string;
}

export interface DeviceAnswer {
  /** HTTP status; 0 when there was no answer at all. */
  readonly status: number;
  readonly body: string;
  /** `reason` and `decision` of a problem document. */
  readonly reason?: string;
  readonly decision?: string;
  /** What went wrong below HTTP. */
  readonly error?: string;
}

const TIMEOUT_MS = 10_000;

export class SimulatedDevice {
  readonly id: string;
  readonly #agent: Agent;
  readonly #tls: { cert: string; key: string; ca: string };
  readonly #host: string;
  readonly #port: number;

  constructor(id: string, certificates: DeviceCertificates, host: string, port: number) {
    this.id = id;
    this.#host = host;
    this.#port = port;
    this.#tls = { cert: certificates.certificatePem, key: certificates.keyPem, ca: certificates.authorityPem };
    this.#agent = new Agent({ keepAlive: true, maxSockets: 4, ...this.#tls });
  }

  /** One request. Never throws: a refused handshake is an answer with status 0. */
  send(method: string, path: string, body?: string): Promise<DeviceAnswer> {
    return new Promise((done) => {
      const headers =
        body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
      const call = request(
        {
          host: this.#host,
          port: this.#port,
          servername: 'localhost',
          method,
          path,
          headers,
          agent: this.#agent,
          timeout: TIMEOUT_MS,
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', (error) => done({ status: 0, body: '', error: error.message }));
          response.on('end', () => {
            const text = Buffer.concat(chunks).toString('utf8');
            done({
              status: response.statusCode ?? 0,
              body: text,
              ...problemOf(response.headers['content-type'], text),
            });
          });
        },
      );
      call.on('timeout', () => call.destroy(new Error('no answer in time')));
      call.on('error', (error: NodeJS.ErrnoException) =>
        done({ status: 0, body: '', error: error.code ?? error.message }),
      );
      call.end(body);
    });
  }

  /** Opens a WebSocket; rejects with the status of a refused upgrade in the message. */
  open(path: string): Promise<WebSocket> {
    return new Promise((done, fail) => {
      const socket = new WebSocket(`wss://${this.#host}:${this.#port}${path}`, {
        ...this.#tls,
        perMessageDeflate: false,
        handshakeTimeout: TIMEOUT_MS,
      });
      socket.once('open', () => done(socket));
      socket.once('error', fail);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

function problemOf(contentType: string | undefined, text: string): { reason?: string; decision?: string } {
  if (contentType !== 'application/problem+json') return {};
  const problem = JSON.parse(text) as { reason?: string; decision?: string };
  return {
    ...(problem.reason !== undefined && { reason: problem.reason }),
    ...(problem.decision !== undefined && { decision: problem.decision }),
  };
}
