/** The gateway's own certificates and when they end: for `status` and `doctor`. */
import { X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

export interface CertificateAge {
  /** Relative to the gateway's folder. */
  readonly file: string;
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
}

/** Every certificate in ca/ and certs/; files that hold none are skipped, doctor reports them by their use. */
export function ageOfCertificates(directory: string): CertificateAge[] {
  const found: CertificateAge[] = [];
  for (const folder of ['ca', 'certs']) {
    for (const name of list(join(directory, folder))) {
      const file = join(folder, name);
      try {
        if (!statSync(join(directory, file)).isFile()) continue;
        const { validFromDate, validToDate } = new X509Certificate(readFileSync(join(directory, file)));
        found.push({ file, notBefore: validFromDate.getTime(), notAfter: validToDate.getTime() });
      } catch {
        // A key, or something else that is no certificate.
      }
    }
  }
  return found;
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.pem'));
  } catch {
    return [];
  }
}
