/** `sallyport ca show|renew|verify-chain`: the gateway's own certificates, and a verdict on any. Beside the gateway, never in it. */

import { X509Certificate } from 'node:crypto';
import { readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { loadConfiguration } from '../config/load.ts';
import { Fault } from '../faults/fault.ts';
import { writeNewFolder } from '../identity/atomic-file.ts';
import { Authority } from '../identity/ca/authority.ts';
import { DirectoryLock } from '../store/directory-lock.ts';
import { ageOfCertificates } from './certificates.ts';
import { answering } from './command.ts';
import { paint, relativeTime, table } from './terminal.ts';
import { registerVerifyChain } from './verify-chain.ts';

export function registerCa(root: Command): void {
  const ca = root.command('ca').description('the gateway’s own authority and certificates');

  ca.command('show')
    .description('show the gateway’s certificates and when they end')
    .action(
      answering(({ directory }) => {
        const all = ageOfCertificates(directory);
        if (all.length === 0) throw new Fault('SP_CONFIG_MISSING', `There are no certificates in ${directory}.`);
        const rows = all.map(({ file, notAfter }) => [
          file,
          new Date(notAfter).toISOString().slice(0, 10),
          relativeTime(notAfter - Date.now()),
        ]);
        return { json: all, text: table(rows) };
      }),
    );

  ca.command('renew')
    .description(
      'make new certificates for the listener and towards the cloud, for the same names; devices keep theirs',
    )
    .option('--days <count>', 'validity')
    .action(
      answering<{ days?: string }>(async ({ directory }, _, { days }) => {
        const { settings } = loadConfiguration(directory);
        const authority = await Authority.open(directory);
        const term = days === undefined ? {} : { days: Number(days) };
        const renewed: string[] = [];
        const replace = (folder: string, certificatePem: string, keyPem: string | undefined) => {
          const target = join(directory, 'certs', folder);
          writeNewFolder(`${target}.new`, { 'cert.pem': certificatePem, 'key.pem': keyPem ?? '' });
          rmSync(`${target}.old`, { recursive: true, force: true });
          renameSync(target, `${target}.old`);
          renameSync(`${target}.new`, target);
          renewed.push(`certs/${folder}`);
        };
        const { names, addresses } = namesOf(join(directory, 'certs', 'listener', 'cert.pem'));
        const server = await authority.issueServer(names, addresses, term);
        replace('listener', server.certificatePem, server.keyPem);
        const ours = join(directory, 'certs', 'gateway', 'cert.pem');
        if ([...settings.upstreams.values()].some(({ certificate }) => certificate?.certificateFile === ours)) {
          const client = await authority.issueClient(settings.gateway, term);
          replace('gateway', client.certificatePem, client.keyPem);
        }
        const live = DirectoryLock.isHeld(directory);
        const next = live ? '\n  the running gateway takes them over with: sallyport config reload' : '';
        return {
          json: { renewed, live },
          text: `${paint('green', '✓')} renewed ${renewed.join(', ')}; the former are kept as *.old${next}`,
        };
      }),
    );

  registerVerifyChain(ca);
}

/** The names that the present certificate is for. */
function namesOf(file: string): { names: string[]; addresses: string[] } {
  const { subjectAltName = '' } = new X509Certificate(readFileSync(file));
  const parts = subjectAltName.split(', ');
  const of = (prefix: string) =>
    parts.filter((part) => part.startsWith(prefix)).map((part) => part.slice(prefix.length));
  return { names: of('DNS:'), addresses: of('IP Address:') };
}
