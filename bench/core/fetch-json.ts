/** A page of one of our own peers on loopback, read as JSON, on a connection of its own. */
import { get } from 'node:http';

export function fetchJson<Value>(url: string): Promise<Value> {
  return fetchText(url).then((text) => JSON.parse(text) as Value);
}

export function fetchText(url: string): Promise<string> {
  return new Promise((done, fail) => {
    get(url, { agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => done(Buffer.concat(chunks).toString()));
    }).on('error', fail);
  });
}
