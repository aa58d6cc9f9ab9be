/** Makes a genuine Sealed for tests: through the real steps, with ports that say yes. */
import { type Arrival, EMPTY_BODY } from '../../../src/exchange/arrival.ts';
import { Identified } from '../../../src/exchange/identified.ts';
import type { Message } from '../../../src/exchange/message.ts';
import { Permitted } from '../../../src/exchange/permitted.ts';
import { Sealed } from '../../../src/exchange/sealed.ts';

export const DECISION_ID = '01890a5d-ac96-774b-bcce-b302099a8057';

export interface Wanted extends Partial<Message> {
  /** Id of the device that sends it. */
  readonly device?: string;
  readonly upstream?: string;
  readonly signal?: AbortSignal;
  readonly arrival?: Partial<Arrival>;
}

export async function sealedMessage(wanted: Wanted = {}): Promise<Sealed> {
  const {
    device: id = 'thermo-1',
    upstream = 'cloud',
    signal = new AbortController().signal,
    arrival: over,
    ...fields
  } = wanted;
  const message: Message = {
    verb: 'GET',
    path: '/v1/telemetry',
    query: '',
    headers: [],
    contentType: '',
    body: EMPTY_BODY,
    ...fields,
  };
  const arrival: Arrival = {
    ...message,
    id: DECISION_ID,
    protocol: 'https',
    listener: 'https',
    direction: 'toCloud',
    receivedAt: 0,
    peer: {
      method: 'certificate',
      address: '127.0.0.1',
      key: 'ab'.repeat(32),
      names: [],
      issuer: 'CN=test',
      serial: '01',
      notBefore: 0,
      notAfter: 1,
      clientAuthentication: true,
    },
    signal,
    ...over,
  };
  const device = { id, segment: 'sensors', state: 'active', labels: {}, key: arrival.peer.key } as const;
  const transformer = {
    decode: () => undefined,
    transform: () => message,
    transformReply: (_: Sealed, reply: never) => reply,
    redactPath: (path: string) => path,
  };
  const identified = Identified.by({ identify: () => device, admit: () => undefined }, transformer, arrival);
  if (!(identified instanceof Identified)) throw new Error('not identified');
  const obligations = { route: 'sensors/telemetry', upstream };
  const permitted = await Permitted.by({ decide: () => ({ allow: true, obligations }), revision: 'r' }, identified);
  if (!(permitted instanceof Permitted)) throw new Error('not permitted');
  const sealed = Sealed.by(transformer, permitted);
  if (!(sealed instanceof Sealed)) throw new Error('not sealed');
  return sealed;
}
