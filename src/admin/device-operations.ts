/** What may be done to devices, on a registry: the running gateway's or one opened by a command. Parameters are checked here. */
import { z } from 'zod';
import type { DeviceState } from '../exchange/peer.ts';
import { Fault } from '../faults/fault.ts';
import { importCertificate } from '../identity/import.ts';
import type { DeviceDetails, DeviceRegistry } from '../identity/registry.ts';
import type { DeviceOperations, DeviceView } from './operations.ts';

export interface DeviceOperationPorts {
  readonly registry: DeviceRegistry;
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
  certificatePem: pem,
  labels: z.record(text, text),
  manufacturer: text.optional(),
  model: text.optional(),
  firmware: text.optional(),
  address: text.optional(),
});
const state = z.enum(['active', 'disabled', 'quarantined', 'retired']);

/** The operations. Each throws the faults of the registry, or SP_USAGE for parameters that are not what they should be. */
export function deviceOperations(ports: DeviceOperationPorts): DeviceOperations {
  const { registry } = ports;
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
      const { id, certificatePem, ...facts } = checked(entry, parameters);
      await registry.add(id, present(facts), credential(certificatePem));
      ports.trustChanged?.();
      return changed(id);
    },
    'device-renew': async (parameters) => {
      const { id, certificatePem } = checked(identified.extend({ certificatePem: pem }), parameters);
      await registry.renew(id, credential(certificatePem));
      ports.trustChanged?.();
      return changed(id);
    },
    'device-finish-renewal': async (parameters) => {
      const { id } = checked(identified, parameters);
      await registry.finishRenewal(id);
      return changed(id);
    },
    'device-state': async (parameters) => {
      const { id, state: next } = checked(identified.extend({ state }), parameters);
      await move(registry, id, next);
      return changed(id);
    },
  };
}

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
