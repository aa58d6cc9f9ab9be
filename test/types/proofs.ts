/**
 * Compile-time test, run by `npm run check`: what was not identified, permitted and sealed does not typecheck where proof
 * is asked for. Each expected error that disappears is itself an error.
 */
import type { Forwarder } from '../../src/exchange/gate.ts';
import { Identified } from '../../src/exchange/identified.ts';
import type { Channel, Message } from '../../src/exchange/message.ts';
import { Permitted } from '../../src/exchange/permitted.ts';
import { Sealed, SealedReply } from '../../src/exchange/sealed.ts';

declare const forwarder: Forwarder;
declare const channel: Channel;
declare const message: Message;
declare const permitted: Permitted;
declare const identified: Identified;

export function mustNotCompile(): void {
  // @ts-expect-error a message is not a sealed message
  void forwarder.forward(message);
  // @ts-expect-error a permit is not a seal
  void forwarder.forward(permitted);
  // @ts-expect-error an object that looks like one is not one
  void forwarder.forward({ message, permitted });
  // @ts-expect-error nor can a channel be given plain data
  void channel.send({ message });
  // @ts-expect-error only Sealed.by makes one
  new Sealed(Symbol('sealed'), permitted, message);
  // @ts-expect-error only Permitted.by makes one
  new Permitted(Symbol('permitted'), identified, {});
  // @ts-expect-error only Identified.by makes one
  new Identified(Symbol('identified'), undefined, undefined, undefined);
  // @ts-expect-error only SealedReply.by makes one
  new SealedReply(Symbol('sealed'), undefined);
}
