import type { CertificateOptions } from '../server/options.ts';
import { readCertificateFile, readKeyFile } from './pem.ts';
import type { Section } from './section.ts';
import { CERTIFICATE_KEYS } from './server-keys.ts';

/** Reads the `certificates` of a server's file, or of one of its listeners, with the files that they name. */
export async function readCertificates(given: Section | null, folder: string): Promise<CertificateOptions[]> {
  const certificates: CertificateOptions[] = [];
  for (const section of given?.items() ?? []) {
    const { hosts, cert, key } = section.read(CERTIFICATE_KEYS);
    if (hosts?.length === 0) section.problem('found an empty list; allowed: at least one host', ['hosts']);
    const certSection = cert === undefined ? null : section.child('cert');
    const keySection = key === undefined ? null : section.child('key');
    const certPem = certSection === null ? null : await readCertificateFile(certSection, folder);
    const keyPem = keySection === null ? null : await readKeyFile(keySection, folder, certPem);
    if (hosts !== undefined && certPem !== null && keyPem !== null) {
      certificates.push({ hosts, cert: certPem, key: keyPem });
    }
  }
  return certificates;
}
