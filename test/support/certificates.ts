import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findTool } from './tools.ts';

/** A certificate and its key as PEM, and the files that hold them (for `curl --cacert` and the like). */
export interface TestCertificate {
  readonly cert: string;
  readonly key: string;
  readonly certFile: string;
  readonly keyFile: string;
}

/** The names that {@link testCertificate} covers; every host of the tests is one of them. */
export const TEST_NAMES = [
  'DNS:localhost',
  'DNS:example.com',
  'DNS:*.example.com',
  'DNS:*.test',
  'IP:127.0.0.1',
  'IP:::1',
] as const;

let folder: string | undefined;
let authority: TestCertificate | undefined;
let leaf: TestCertificate | undefined;
let serial = 0;

/** The certificate authority of this run: made once a process, gone with it. */
export function testAuthority(): TestCertificate {
  authority ??= makeAuthority('Backdial test authority');
  return authority;
}

/** Another certificate authority, or one that only bears the same name. */
export function makeAuthority(commonName: string): TestCertificate {
  const usage = ['-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign,cRLSign'];
  return make(`/CN=${commonName}`, usage);
}

/** A leaf of {@link testAuthority} for {@link TEST_NAMES}. */
export function testCertificate(): TestCertificate {
  leaf ??= issueCertificate(TEST_NAMES);
  return leaf;
}

/** A leaf of {@link testAuthority} for names in OpenSSL's form: `DNS:www.example.com`, `IP:127.0.0.1`. */
export function issueCertificate(names: readonly string[]): TestCertificate {
  return make('/CN=Backdial test', [...signedBy(testAuthority()), '-addext', `subjectAltName=${names.join(',')}`]);
}

/** A leaf for a visitor, with a subject in OpenSSL's form: `/C=DE/CN=Jane Doe`. */
export function issueClientCertificate(
  subject: string,
  ca: TestCertificate = testAuthority(),
  usage: 'clientAuth' | 'serverAuth' = 'clientAuth',
): TestCertificate {
  return make(subject, [...signedBy(ca), '-utf8', '-addext', `extendedKeyUsage=${usage}`]);
}

function signedBy(ca: TestCertificate): string[] {
  return ['-CA', ca.certFile, '-CAkey', ca.keyFile, '-addext', 'basicConstraints=critical,CA:FALSE'];
}

function make(subject: string, more: readonly string[]): TestCertificate {
  folder ??= temporaryFolder();
  serial += 1;
  const certFile = join(folder, `${serial}.pem`);
  const keyFile = join(folder, `${serial}.key`);
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', keyFile];
  const rest = ['-subj', subject, '-days', '2', '-out', certFile, ...more];
  execFileSync(findTool('openssl'), ['req', '-x509', ...key, ...rest], { stdio: 'pipe' });
  return { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8'), certFile, keyFile };
}

function temporaryFolder(): string {
  const made = mkdtempSync(join(tmpdir(), 'backdial-test-'));
  process.once('exit', () => rmSync(made, { recursive: true, force: true }));
  return made;
}
