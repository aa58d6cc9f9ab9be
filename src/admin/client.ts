/** Asks a running gateway through its admin socket. */
import { request } from 'node:http';
import { FAULTS, type FaultCode } from '../faults/catalogue.ts';
import { Fault } from '../faults/fault.ts';
import type { OperationName, Operations } from './operations.ts';
import { socketPath } from './socket.ts';

const TIMEOUT_MS = 15_000;

/**
 * Calls one operation.
 * @param directory the gateway's folder
 * @throws Fault SP_GATEWAY_NOT_RUNNING if nobody listens, else the fault the gateway told
 */
export async function ask<Name extends OperationName>(
  directory: string,
  name: Name,
  ...parameters: Parameters<Operations[Name]>
): Promise<Awaited<ReturnType<Operations[Name]>>> {
  const { status, text } = await exchange(directory, name, JSON.stringify(parameters[0] ?? {}));
  const value: unknown = JSON.parse(text);
  if (status === 200) return value as Awaited<ReturnType<Operations[Name]>>;
  const { error } = value as { error?: { code?: string; message?: string } };
  const code =
    error?.code !== undefined && Object.hasOwn(FAULTS, error.code) ? (error.code as FaultCode) : 'SP_INTERNAL';
  throw new Fault(code, error?.message);
}

function exchange(directory: string, name: string, body: string): Promise<{ status: number; text: string }> {
  return new Promise((done, fail) => {
    const call = request(
      {
        socketPath: socketPath(directory),
        path: `/v1/${name}`,
        method: 'POST',
        headers: { host: 'sallyport', 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
        timeout: TIMEOUT_MS,
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () =>
          done({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }),
        );
        response.on('error', fail);
      },
    );
    call.on('timeout', () =>
      call.destroy(new Fault('SP_GATEWAY_NOT_RUNNING', 'The gateway does not answer on its admin socket.')),
    );
    call.on('error', (cause: NodeJS.ErrnoException) => {
      if (cause instanceof Fault) return fail(cause);
      const absent = cause.code === 'ENOENT' || cause.code === 'ECONNREFUSED' || cause.code === 'ENOTDIR';
      const message = absent
        ? `No gateway is running on ${directory}.`
        : `The admin socket of ${directory} cannot be used: ${cause.message}`;
      fail(new Fault('SP_GATEWAY_NOT_RUNNING', message, { cause }));
    });
    call.end(body);
  });
}
