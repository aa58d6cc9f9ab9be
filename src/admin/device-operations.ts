/** What may be done to devices, on a registry: the running gateway's or one opened by a command. Parameters are checked here. */
import { z } from 'zod';
import type { DeviceState } from '../exchange/peer.ts';
import { Fault } from '../faults/fault.ts';
import { methodOf, pskCredential, rawKeyCredential } from '../identity/bare-key.ts';
import { importCertificate } from '../identity/import.ts';
import type { Credential } from '../identity/lifecycle.ts';
import type { DeviceDetails, DeviceRegistry } from '../identity/registry.ts';
import { type Act, type ActName, type ActPorts, onRecord } from './acts.ts';
import type { DeviceOperations, DeviceView } from './operations.ts';

export interface DeviceOperationPorts {
  readonly registry: DeviceRegistry;
  /** Where each change is put on record. */
  readonly acts: ActPorts;
  /** limits.certificateBytes */
  readonly maxCertificateBytes: number;
  /** Called when a device with a certificate was added: its issuer may be a new trust anchor. */
  readonly trustChanged?: () => void;
  /** How many connections are open, of this device or of any. */
  readonly connections?: (id?: string) => Promise<(id: string) => number>;
  /** Called after each change; what it asks for has happened when it resolves. */
  readonly changed?: () => Promise<void>;
}

const text = z.string().max(256);
const identified = z.strictObject({ id: text });
const pem = z.string().max(262_144);
const entry = z.strictObject({
  id: text,
  segment: text,
  certificatePem: pem.optional(),
  psk: z.strictObject({ identity: text, fingerprint: z.string().regex(/^[0-9a-f]{64}$/) }).optional(),
  publicKeyPem: pem.optional(),
  labels: z.record(text, text),
  manufacturer: text.optional(),
  model: text.optional(),
  firmware: text.optional(),
  address: text.optional(),
});
const facts = z.strictObject({
  id: text,
  segment: text.optional(),
  labels: z.record(text, text).optional(),
  manufacturer: text.optional(),
  model: text.optional(),
  firmware: text.optional(),
});
const state = z.enum(['active', 'disabled', 'quarantined', 'retired']);

/** The operations. Each throws the faults of the registry, or SP_USAGE for parameters that are not what they should be. */
export function deviceOperations(ports: DeviceOperationPorts): DeviceOperations {
  const { registry } = ports;
  const opens = (act: Act, work: () => Promise<unknown>) => onRecord(ports.acts, 'opens', act, work);
  const closes = (act: Act, work: () => Promise<unknown>) => onRecord(ports.acts, 'closes', act, work);
  const credential = (certificatePem: string) =>
    importCertificate(Buffer.from(certificatePem), { maxBytes: ports.maxCertificateBytes, now: Date.now() });
  const view = async (id: string) => viewOf(await registry.show(id), (await ports.connections?.(id))?.(id));
  const changed = async (id: string) => {
    await ports.changed?.();
    return view(id);
  };
  return {
    'device-list': async () => {
      const connections = await ports.connections?.();
      return Promise.all(registry.list().map(async ({ id }) => viewOf(await registry.show(id), connections?.(id))));
    },
    'device-show': async (parameters) => view(checked(identified, parameters).id),
    'device-add': async (parameters) => {
      const { id, certificatePem, psk, publicKeyPem, ...given } = checked(entry, parameters);
      const admitted = oneOf([
        certificatePem === undefined ? undefined : () => credential(certificatePem),
        psk && (() => pskCredential(psk.identity, psk.fingerprint)),
        publicKeyPem === undefined ? undefined : () => rawKeyCredential(publicKeyPem),
      ]);
      await opens({ act: 'device-add', device: id, key: admitted.key, to: given.segment }, () =>
        registry.add(id, present(given), admitted),
      );
      ports.trustChanged?.();
      return changed(id);
    },
    'device-renew': async (parameters) => {
      const { id, certificatePem } = checked(identified.extend({ certificatePem: pem }), parameters);
      const admitted = credential(certificatePem);
      await opens({ act: 'device-renew', device: id, key: admitted.key }, () => registry.renew(id, admitted));
      ports.trustChanged?.();
      return changed(id);
    },
    'device-finish-renewal': async (parameters) => {
      const { id } = checked(identified, parameters);
      const former = registry.byId(id)?.key;
      await closes({ act: 'device-finish-renewal', device: id, ...(former !== undefined && { key: former }) }, () =>
        registry.finishRenewal(id),
      );
      return changed(id);
    },
    'device-set': async (parameters) => {
      const { id, labels, ...given } = checked(facts, parameters);
      const before = registry.byId(id);
      const named = Object.keys(labels ?? {}).map((name) => `label ${name}`);
      const others = Object.keys(present(given)).filter((name) => name !== 'segment');
      const to = [...(given.segment === undefined ? [] : [given.segment]), ...others, ...named].join(', ');
      const act: Act = { act: 'device-set', device: id, to, ...(before && { from: before.segment }) };
      const wanted = { ...given, ...(labels && { labels: { ...before?.labels, ...labels } }) };
      // An empty value takes a label away.
      if (wanted.labels) {
        wanted.labels = Object.fromEntries(Object.entries(wanted.labels).filter(([, value]) => value !== ''));
      }
      await opens(act, () => registry.update(id, present(wanted)));
      return changed(id);
    },
    'device-state': async (parameters) => {
      const { id, state: next } = checked(identified.extend({ state }), parameters);
      const before = registry.byId(id)?.state;
      const act: Act = { act: ACT_OF[next], device: id, to: next, ...(before !== undefined && { from: before }) };
      // A disabled device does not even get past the handshake; in quarantine it does.
      const less = next !== 'active' && !(next === 'quarantined' && before === 'disabled');
      await (less ? closes : opens)(act, () => move(registry, id, next));
      return changed(id);
    },
  };
}

function oneOf(ways: readonly ((() => Credential) | undefined)[]): Credential {
  const [way, ...more] = ways.filter((one) => one !== undefined);
  if (way === undefined || more.length > 0)
    throw new Fault('SP_USAGE', 'A device has either a certificate, a pre-shared key or a raw public key.');
  return way();
}

const ACT_OF: Readonly<Record<DeviceState, ActName>> = {
  active: 'device-enable',
  disabled: 'device-disable',
  quarantined: 'device-quarantine',
  retired: 'device-remove',
};

function move(registry: DeviceRegistry, id: string, next: DeviceState): Promise<unknown> {
  if (next === 'active') return registry.enable(id);
  if (next === 'disabled') return registry.disable(id);
  return next === 'quarantined' ? registry.quarantine(id) : registry.remove(id);
}

function checked<T>(schema: z.ZodType<T>, parameters: unknown): T {
  const parsed = schema.safeParse(parameters);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new Fault('SP_USAGE', `${issue?.path.join('.') ?? 'parameters'}: ${issue?.message ?? 'not understood'}`);
}

function present<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as never;
}

function viewOf(
  { device, credentials, addedAt, changedAt }: DeviceDetails,
  connections: number | undefined,
): DeviceView {
  const { id, segment, labels, manufacturer, model, firmware, address } = device;
  const current = credentials.find(({ key }) => key === device.key) ?? credentials.at(-1);
  return {
    id,
    segment,
    state: device.state,
    key: device.key,
    method: methodOf(current?.issuer ?? ''),
    serial: current?.serial ?? '',
    issuer: current?.issuer ?? '',
    names: current?.names ?? [],
    notAfter: new Date(current?.notAfter ?? 0).toISOString(),
    labels,
    ...present({ manufacturer, model, firmware, address, connections }),
    addedAt: new Date(addedAt).toISOString(),
    changedAt: new Date(changedAt).toISOString(),
  };
}
