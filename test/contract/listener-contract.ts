/**
 * What every listener owes, whatever it speaks: who is not known is not let in, what is not permitted does not leave, a
 * refusal says its reason and nothing more, nothing outlives its permission, and after each of these the next good message
 * works. A protocol joins by an adapter of a page: how to start it, how its peers talk, what its refusals look like.
 */
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Cancellation } from '../../src/exchange/cancellation.ts';
import type { Decision } from '../../src/exchange/gate.ts';
import { DENIALS, entryOf, FAULTS, type Faces, type FaultCode, type Reason } from '../../src/faults/catalogue.ts';
import { Fault } from '../../src/faults/fault.ts';
import { device } from '../unit/listeners/https/stage.ts';
import { type Issued, issue, SERVER_AUTH } from '../unit/upstreams/certificates.ts';
import { House, never, OBLIGATIONS, PERMIT } from './house.ts';

/** What a peer was told after it spoke. */
export interface Told {
  /** The answer's payload. */
  readonly answer?: string;
  /** The protocol's refusal, see Protocol.face. */
  readonly face?: number | string;
  readonly reason?: string;
  readonly decision?: string;
  /** Every octet that the peer received since it spoke, as text. */
  readonly everything: string;
  /** The connection may be used for another message. */
  readonly open: boolean;
}

/** A peer that got as far as being able to speak. */
export interface Talker {
  /** Sends one message with this JSON and waits for what comes back. */
  say(json: string): Promise<Told>;
  /** Sends octets as they are. */
  utter(bytes: Uint8Array): Promise<Told>;
  /** Leaves without a word. */
  leave(): void;
  /** Resolves when the connection is gone, whoever ended it. */
  readonly closed: Promise<void>;
}

export interface Door {
  /** Undefined: was not let in. A listener may also let a talker find that out when it first speaks. */
  connect(credentials: Credentials): Promise<Talker | undefined>;
  /** The gateway is stopping. */
  drain(timeoutMs: number): Promise<void>;
  close(): Promise<void>;
}

/** What a peer shows; nothing for one without a certificate. PEM. */
export interface Credentials {
  readonly cert?: string;
  readonly key?: string;
}

export interface Papers {
  /** Of the devices. */
  readonly authority: Issued;
  readonly server: Issued;
}

/** Octets that a peer must not send, and what it is told for them. */
export interface Offence<Code extends Reason | FaultCode> {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly code: Code;
}

export interface ListenerProtocol {
  readonly name: string;
  /** Which of the catalogue's faces its peers see. */
  face(faces: Faces): number | string;
  /** A refusal names its decision, not only its reason. */
  readonly tellsDecision: boolean;
  /** No message of the protocol at all. */
  readonly malformed: readonly Offence<FaultCode>[];
  /** Messages larger than they may be. */
  readonly oversized: readonly Offence<Reason | FaultCode>[];
  start(house: House, papers: Papers): Promise<Door>;
}

const GOOD = '{"temperature":21.5,"serial":"SN-Canary","room":"Room-Canary","owner":"Ada"}';
/** What no peer may ever be told. */
const DETAILS = ['Canary', 'Ada', 'secret', 'sensors', 'telemetry', 'cloud', 'revision', 'stack', '.ts'];
const NOTHING: Told = { everything: '', open: false };
/** A peer that has left is told nothing; that the other side of a channel has closed is no refusal. */
const NOT_TOLD: ReadonlySet<string> = new Set(['SP_EXCHANGE_CANCELLED', 'SP_WEBSOCKET_CLOSED']);

const deny = (...reasons: [Reason, ...Reason[]]): Decision => ({ allow: false, reasons });
const permit = (changes: Partial<typeof OBLIGATIONS>): Decision => ({
  allow: true,
  obligations: { ...OBLIGATIONS, ...changes },
});

export function listenerContract(protocol: ListenerProtocol): void {
  let papers: Papers;
  let thermo: Issued;
  let other: Issued;
  let house: House;
  let door: Door;
  const talkers: Talker[] = [];

  beforeAll(async () => {
    const authority = await issue({ name: 'devices', ca: true });
    papers = { authority, server: await issue({ name: 'localhost', dns: ['localhost'] }) };
    thermo = await device(authority, 'thermo-1');
    other = await device(authority, 'thermo-2');
  });
  beforeEach(async () => {
    house = new House();
    house.register('thermo-1', thermo.key);
    house.register('thermo-2', other.key);
    door = await protocol.start(house, papers);
  });
  afterEach(async () => {
    for (const talker of talkers.splice(0)) talker.leave();
    await door.close();
  });

  async function connect({ pem, keyPem }: Pick<Issued, 'pem' | 'keyPem'> = thermo): Promise<Talker> {
    const talker = await door.connect({ cert: pem, key: keyPem });
    if (talker === undefined) throw new Error('not let in');
    talkers.push(talker);
    return talker;
  }

  /** On the same connection if the protocol keeps it. */
  async function worksAgain(talker: Talker, told: Told): Promise<void> {
    house.decide = () => PERMIT;
    house.reply = () => '{"ok":true}';
    house.write = async () => undefined;
    const { length } = house.forwarded;
    const next = told.open ? talker : await connect();
    expect(await next.say(GOOD)).toMatchObject({ answer: '{"ok":true}' });
    expect(house.forwarded).toHaveLength(length + 1);
  }

  function expectRefusal(told: Told, code: Reason | FaultCode): void {
    expect([told.face, told.reason]).toEqual([protocol.face(entryOf(code).faces), code]);
    expect(told.answer).toBeUndefined();
    if (protocol.tellsDecision) expect(told.decision).toMatch(/^0198c1d2-/);
    for (const detail of DETAILS) expect(told.everything).not.toContain(detail);
  }

  async function until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise((later) => setTimeout(later, 5));
  }

  describe('identity', () => {
    it('that nobody registered is refused, and nothing of it is decided or forwarded', async () => {
      const stranger = await device(papers.authority, 'stranger-1');
      const talker = await door.connect({ cert: stranger.pem, key: stranger.keyPem });
      expect(talker ? await talker.say(GOOD) : NOTHING).toEqual(NOTHING);
      expect(house.drops).toEqual(['identity-refused']);
      expect([house.decided, house.steps]).toEqual([0, []]);
      expect(await (await connect()).say(GOOD)).toMatchObject({ answer: '{"ok":true}' });
    });

    it.each<[string, () => Promise<Credentials>]>([
      ['without any', async () => ({})],
      [
        'of another authority, though it has the key’s name',
        async () => {
          const foreign = await device(await issue({ name: 'devices', ca: true }), 'thermo-1');
          return { cert: foreign.pem, key: foreign.keyPem };
        },
      ],
      [
        'made by itself',
        async () => {
          const own = await issue({ name: 'thermo-1', dns: ['thermo-1'] });
          return { cert: own.pem, key: own.keyPem };
        },
      ],
      [
        'for servers',
        async () => {
          const server = await issue({
            name: 'thermo-1',
            issuer: papers.authority,
            usages: [SERVER_AUTH],
            keys: thermo.keys,
          });
          return { cert: server.pem, key: server.keyPem };
        },
      ],
      [
        'that has expired',
        async () => {
          const late = await issue({ name: 'thermo-1', issuer: papers.authority, from: -9, to: -1, keys: thermo.keys });
          return { cert: late.pem, key: late.keyPem };
        },
      ],
    ])('%s ends in the handshake', async (_, credentials) => {
      const talker = await door.connect(await credentials());
      expect(talker ? await talker.say(GOOD) : NOTHING).toEqual(NOTHING);
      await until(() => house.drops.length > 0);
      expect(house.drops).toEqual(['handshake-failed']);
      expect([house.decided, house.steps]).toEqual([0, []]);
    });

    it('is the connection’s: two devices at once are each on record as themselves', async () => {
      const [one, two] = [await connect(thermo), await connect(other)];
      for (let n = 0; n < 3; n++) await Promise.all([one.say(GOOD), two.say(GOOD)]);
      expect(house.forwarded.map((each) => each.device).sort()).toEqual([
        ...Array(3).fill('thermo-1'),
        ...Array(3).fill('thermo-2'),
      ]);
      const keys = new Map(house.records.map(({ device: on, peer }) => [on?.id, peer.key]));
      expect(keys).toEqual(
        new Map([
          ['thermo-1', thermo.key],
          ['thermo-2', other.key],
        ]),
      );
    });
  });

  describe('permitted', () => {
    it('is recorded, then forwarded, once, as the privacy rule lets it leave; the answer comes back', async () => {
      house.reply = ({ text }) => JSON.stringify({ go: (JSON.parse(text) as { room: string }).room });
      const talker = await connect();
      expect(await talker.say(GOOD)).toMatchObject({ answer: '{"go":"Room-Canary"}', open: true });
      expect(house.steps).toEqual(['permitted', 'forward']);
      expect(house.forwarded.map(({ text }) => JSON.parse(text))).toEqual([
        {
          temperature: 21.5,
          serial: expect.stringMatching(/^p1\.[\w-]{22}$/),
          room: expect.stringMatching(/^t1\.[\w-]{43,}$/),
        },
      ]);
      expect(house.records).toMatchObject([
        { verdict: 'permitted', reasons: [], device: { id: 'thermo-1' }, obligations: OBLIGATIONS },
      ]);
      expect([house.drops, house.refusals]).toEqual([[], []]);
    });

    it('one after the other on one connection, each answered by its own', async () => {
      house.reply = ({ text }) => `{"go":${(JSON.parse(text) as { temperature: number }).temperature}}`;
      const talker = await connect();
      for (let n = 0; n < 5; n++) expect((await talker.say(`{"temperature":${n}}`)).answer).toBe(`{"go":${n}}`);
      expect(house.forwarded).toHaveLength(5);
    });

    it('under `unchanged` passes as it is', async () => {
      house.decide = () => permit({ privacy: 'unchanged' });
      await (await connect()).say(GOOD);
      expect(house.forwarded.map(({ text }) => text)).toEqual([GOOD]);
    });

    it('under an obligation that cannot be met does not leave', async () => {
      const talker = await connect();
      const { privacy: _, ...bare } = OBLIGATIONS;
      house.decide = () => ({ allow: true, obligations: bare });
      const told = await talker.say(GOOD);
      expectRefusal(told, 'payload-not-covered');
      await worksAgain(talker, told);
      house.decide = () => permit({ privacy: 'no-such-rule' });
      const again = await connect();
      expectRefusal(await again.say(GOOD), 'SP_POLICY_OBLIGATION');
      expect(house.forwarded).toHaveLength(1);
    });
  });

  describe('denied', () => {
    it.each(Object.keys(DENIALS) as Reason[])('for %s: reason and decision, no detail, on record', async (reason) => {
      house.decide = () => deny(reason, 'policy-denied');
      const talker = await connect();
      const told = await talker.say(GOOD);
      expectRefusal(told, reason);
      // The first reason is for the peer, all of them are for the record.
      expect(house.records).toMatchObject([{ verdict: 'denied', reasons: [reason, 'policy-denied'] }]);
      if (protocol.tellsDecision) expect(told.decision).toBe(house.records[0]?.decision);
      expect(house.steps).toEqual(['denied']);
      await worksAgain(talker, told);
    });

    it('before its payload is looked at: a bad one changes nothing about it', async () => {
      house.decide = () => deny('no-route');
      expectRefusal(await (await connect()).say('{"temperature":1,"temperature":2}'), 'no-route');
    });
  });

  describe('failed', () => {
    const codes = (Object.keys(FAULTS) as FaultCode[]).filter((code) => !NOT_TOLD.has(code));

    it.each(codes)('with %s: its face and its code, none of its words', async (code) => {
      house.reply = () => {
        throw new Fault(code, 'secret of the operator', { details: { upstream: 'secret' } });
      };
      const talker = await connect();
      const told = await talker.say(GOOD);
      expectRefusal(told, code);
      expect(house.records).toMatchObject([{ verdict: 'permitted' }]);
      expect(house.outcomes).toMatchObject([{ decision: house.records[0]?.decision, fault: code }]);
      await worksAgain(talker, told);
    });

    it.each<[string, FaultCode, () => void]>([
      [
        'policy that throws',
        'SP_POLICY_EVALUATION',
        () => {
          house.decide = () => {
            throw new Fault('SP_POLICY_EVALUATION', 'secret');
          };
        },
      ],
      [
        'something nobody foresaw',
        'SP_INTERNAL',
        () => {
          house.decide = () => {
            throw new Error('secret at sensors.ts:7');
          };
        },
      ],
      [
        'a ledger that cannot write',
        'SP_LEDGER_WRITE',
        () => {
          house.write = async () => {
            throw new Fault('SP_LEDGER_WRITE', 'secret');
          };
        },
      ],
    ])('by %s nothing leaves', async (_, code, breakIt) => {
      const talker = await connect();
      breakIt();
      const told = await talker.say(GOOD);
      expectRefusal(told, code);
      expect(house.forwarded).toEqual([]);
      await worksAgain(talker, told);
    });

    it.each<[string, FaultCode]>([
      ['{"temperature":1,"temperature":2}', 'SP_PAYLOAD_DUPLICATE_KEY'],
      ['{"temperature":9007199254740993}', 'SP_PAYLOAD_NUMBER'],
      ['{"temperature":', 'SP_PAYLOAD_SYNTAX'],
      [`{"temperature":${'['.repeat(40)}${']'.repeat(40)}}`, 'SP_PAYLOAD_TOO_DEEP'],
    ])('for the payload %s', async (payload, code) => {
      const talker = await connect();
      const told = await talker.say(payload);
      expectRefusal(told, code);
      expect(house.steps).toEqual(['failed']);
      expect(house.records).toMatchObject([{ verdict: 'failed', reasons: [code] }]);
      await worksAgain(talker, told);
    });
  });

  describe('what is no message', () => {
    it.each(protocol.malformed)(
      '$name is refused without asking policy, and tells nothing of it',
      async ({ bytes, code }) => {
        const talker = await connect();
        const told = await talker.utter(bytes);
        expectRefusal(told, code);
        expect(told.open).toBe(false);
        expect([house.decided, house.steps]).toEqual([0, []]);
        expect(house.refusals).toEqual([code]);

        // The same where everything is denied: it cannot be used to find out what is permitted.
        house.decide = () => deny('no-route');
        const denied = await (await connect()).utter(bytes);
        expect([denied.face, denied.reason]).toEqual([told.face, told.reason]);
        expect(house.decided).toBe(0);
        await worksAgain(talker, told);
      },
    );

    it.each(protocol.oversized)('$name is refused, and nothing of it leaves', async ({ bytes, code }) => {
      const talker = await connect();
      const told = await talker.utter(bytes);
      expectRefusal(told, code);
      expect(protocol.face(entryOf(code).faces)).toBe(protocol.face(DENIALS['stream-not-allowed'].faces));
      expect(house.forwarded).toEqual([]);
      expect(house.records.filter(({ verdict }) => verdict === 'permitted')).toEqual([]);
      expect(house.refusals.length + house.records.length).toBe(1);
      await worksAgain(talker, { ...told, open: false });
    });
  });

  describe('a peer that leaves', () => {
    it('while it is decided: nothing is forwarded', async () => {
      const decision = Promise.withResolvers<Decision>();
      let signal: Cancellation | undefined;
      house.decide = ({ arrival }) => {
        signal = arrival.signal;
        return decision.promise;
      };
      const talker = await connect();
      const told = talker.say(GOOD);
      await until(() => signal !== undefined);
      talker.leave();
      await until(() => signal?.aborted === true);
      decision.resolve(PERMIT);
      await until(() => house.records.length === 1);
      expect(house.records).toMatchObject([{ verdict: 'failed', reasons: ['SP_EXCHANGE_CANCELLED'] }]);
      expect(house.forwarded).toEqual([]);
      expect(await told).toMatchObject({ open: false });
      await worksAgain(talker, NOTHING);
    });

    it('while the cloud thinks: the cloud is told, and the record says so', async () => {
      house.reply = never;
      const talker = await connect();
      const told = talker.say(GOOD);
      await until(() => house.forwarded.length === 1);
      talker.leave();
      await until(() => house.outcomes.length === 1);
      expect(house.outcomes).toMatchObject([{ decision: house.records[0]?.decision, fault: 'SP_EXCHANGE_CANCELLED' }]);
      await told;
      await worksAgain(talker, NOTHING);
    });
  });

  describe('permission that ends', () => {
    it('closes within two seconds what the device has open, cancels what is under way, disturbs nobody else', async () => {
      const bystander = await connect(other);
      await bystander.say(GOOD);
      house.reply = never;
      const [busy, idle] = [await connect(), await connect()];
      const told = busy.say(GOOD);
      await until(() => house.forwarded.length === 2);
      const began = performance.now();
      await house.move('thermo-1', 'disabled');
      await Promise.all([busy.closed, idle.closed]);
      expect(performance.now() - began).toBeLessThan(2_000);
      expect((await told).answer).toBeUndefined();
      await until(() => house.outcomes.length === 1);
      expect(house.outcomes).toMatchObject([{ fault: 'SP_EXCHANGE_CANCELLED' }]);
      expect(house.drops.filter((reason) => reason === 'revoked').length).toBeGreaterThanOrEqual(2);

      const back = await door.connect({ cert: thermo.pem, key: thermo.keyPem });
      expect(back ? await back.say(GOOD) : NOTHING).toEqual(NOTHING);
      house.reply = () => '{"ok":true}';
      expect(await bystander.say(GOOD)).toMatchObject({ answer: '{"ok":true}' });
      await house.move('thermo-1', 'active');
      expect(await (await connect()).say(GOOD)).toMatchObject({ answer: '{"ok":true}' });
    });

    it('by another policy: not one message more leaves', async () => {
      const talker = await connect();
      await talker.say(GOOD);
      await house.change(() => deny('no-route'));
      const told = await talker.say(GOOD);
      expect(told.answer).toBeUndefined();
      expect(house.forwarded).toHaveLength(1);
      await house.change(() => PERMIT);
      await worksAgain(talker, told);
    });
  });

  describe('a gateway that stops', () => {
    it('lets the message under way through, and nobody in', async () => {
      const answer = Promise.withResolvers<string>();
      house.reply = (forwarded, signal) => Promise.race([answer.promise, never(forwarded, signal)]);
      const talker = await connect();
      const told = talker.say(GOOD);
      await until(() => house.forwarded.length === 1);
      const drained = door.drain(10_000);
      const late = await door.connect({ cert: other.pem, key: other.keyPem });
      expect(late ? await late.say(GOOD) : NOTHING).toEqual(NOTHING);
      answer.resolve('{"ok":true}');
      await told;
      await talker.closed;
      await drained;
      expect(house.steps).toEqual(['permitted', 'forward']);
      // Whatever becomes of its answer, the message itself was not cut off.
      expect(house.outcomes.filter(({ decision }) => decision === house.records[0]?.decision)).toEqual([]);
    });
  });
}
