/**
 * Reads and checks everything in a gateway's folder, as `config check`, `run` and reload do: configuration, privacy rules,
 * keys, policy and what upstreams need. Starts nothing.
 */
import { createHash, createHmac, type Hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Loaded, loadConfiguration } from './config/load.ts';
import type { Problem } from './config/problem.ts';
import type { Settings } from './config/settings.ts';
import { Fault } from './faults/fault.ts';
import { readKeyFile, readTextFile } from './identity/atomic-file.ts';
import { keyOf } from './identity/public-key.ts';
import { readTrustAnchors } from './identity/trust.ts';
import { canariesFor } from './policy/canaries.ts';
import { type PolicyData, policyData } from './policy/data.ts';
import { type ActivePolicy, PolicyWall } from './policy/wall.ts';
import { PrivacyKeys } from './privacy/keys.ts';
import { compileRule } from './privacy/selectors.ts';
import { UpstreamForwarder } from './upstreams/forwarder.ts';

/** What was read and checked, before anything runs. */
export interface Provision {
  readonly settings: Settings;
  /** Names policy, its data and the configuration: the same files give the same revision. */
  readonly revision: string;
  /** As the revision, and what else workers must have in common: keys and certificate. For comparison among them alone. */
  readonly fingerprint: string;
  readonly policy: ActivePolicy;
  readonly data: PolicyData;
  readonly keys: PrivacyKeys;
}

const SHIPPED_POLICY = new URL('../policies/compiled/policy.wasm', import.meta.url);

/** Cryptography for policy's built-ins; `crypto.*` of Rego, hex. */
export const DIGESTS = {
  sha256: (text: string) => createHash('sha256').update(text).digest('hex'),
  hmacSha256: (text: string, key: string) => createHmac('sha256', key).update(text).digest('hex'),
};

/**
 * Reads and checks everything a gateway needs, as `config check`, `run` and reload do.
 * @throws Fault SP_CONFIG_*, SP_KEY_INVALID, SP_POLICY_*; a ConfigurationError lists every problem with its place
 */
export async function provision(directory: string): Promise<Provision> {
  const loaded = loadConfiguration(directory);
  const { settings, source } = loaded;
  refuseBrokenRules(loaded);
  const keyFile = join(directory, 'keys', 'privacy.json');
  const keys = PrivacyKeys.load(keyFile);
  const data = policyData(settings);
  const wasm = readPolicy(settings);
  const revision = createHash('sha256').update(source).update(wasm).update(data.json).digest('hex').slice(0, 12);
  const { entrypoint } = settings.policy;
  const canaries = canariesFor([...settings.segments.keys()]);
  const policy = PolicyWall.activate({
    wasm,
    data: data.json,
    entrypoint,
    revision,
    limits: settings.limits,
    digests: DIGESTS,
    canaries,
  });
  const { certificate, key } = listenerTls(settings.directory);
  // Opens nothing: keys and certificates towards upstreams are read and must fit.
  await new UpstreamForwarder(settings, {
    keyOf,
    now: Date.now,
    deviceAddress: () => undefined,
    deviceTrust: () => undefined,
  }).close();
  const fingerprint = [revision, readFileSync(keyFile), certificate, key]
    .reduce((hash: Hash, part) => hash.update(part), createHash('sha256'))
    .digest('hex');
  return { settings, revision, fingerprint, policy, data, keys };
}

/** The listener's certificate and key, and the authorities of devices. Throws SP_KEY_INVALID, which names the file. */
export function listenerTls(directory: string) {
  const folder = join(directory, 'certs', 'listener');
  return {
    certificate: readTextFile(join(folder, 'cert.pem')),
    key: readKeyFile(join(folder, 'key.pem')),
    clientAuthorities: readTrustAnchors(directory),
  };
}

function refuseBrokenRules({ settings, locate }: Loaded): void {
  const problems = [...settings.privacy].flatMap(([name, rule]): Problem[] => {
    return compileRule(rule).problems.map(({ selector, problem }) => ({
      path: ['privacy', name],
      message: `${selector}: ${problem}`,
    }));
  });
  if (problems.length > 0) throw locate(problems);
}

function readPolicy({ policy }: Settings): Uint8Array {
  try {
    return readFileSync(policy.module ?? SHIPPED_POLICY);
  } catch (cause) {
    throw new Fault('SP_POLICY_MODULE', `The policy module cannot be read: ${(cause as Error).message}`, { cause });
  }
}
