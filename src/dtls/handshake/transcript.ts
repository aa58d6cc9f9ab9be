/**
 * The handshake messages as they count for CertificateVerify, Finished and the session hash (RFC 6347 4.2.6): whole messages
 * with unfragmented headers, from the ClientHello that carries the cookie; HelloVerifyRequest and HelloRequest never.
 */
import { digest, type HashName } from '../crypto/digest.ts';
import { concat } from '../wire/bytes.ts';
import { writeFragment } from '../wire/handshake.ts';

export class Transcript {
  readonly #maxBytes: number;
  #messages: Uint8Array[] = [];
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** False when the handshake says more than we keep. */
  add(type: number, messageSeq: number, body: Uint8Array): boolean {
    const message = writeFragment(type, messageSeq, body);
    if (this.#bytes + message.length > this.#maxBytes) return false;
    this.#messages.push(message);
    this.#bytes += message.length;
    return true;
  }

  restart(): void {
    this.#messages = [];
    this.#bytes = 0;
  }

  bytes(): Uint8Array {
    return concat(...this.#messages);
  }

  hash(name: HashName): Uint8Array {
    return digest(name, this.bytes());
  }
}
