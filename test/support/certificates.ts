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
  authority ??= make('Backdial test authority', [
    '-addext',
    'basicConstraints=critical,CA:TRUE',
    '-addext',
    'keyUsage=critical,keyCertSign,cRLSign',
  ]);
  return authority;
}

/** A leaf of {@link testAuthority} for {@link TEST_NAMES}. */
export function testCertificate(): TestCertificate {
  leaf ??= issueCertificate(TEST_NAMES);
  return leaf;
}

/** A leaf of {@link testAuthority} for names in OpenSSL's form: `DNS:www.example.com`, `IP:127.0.0.1`. */
export function issueCertificate(names: readonly string[]): TestCertificate {
  const ca = testAuthority();
  const signing = ['-CA', ca.certFile, '-CAkey', ca.keyFile, '-addext', 'basicConstraints=critical,CA:FALSE'];
  return make('Backdial test', [...signing, '-addext', `subjectAltName=${names.join(',')}`]);
}

function make(commonName: string, more: readonly string[]): TestCertificate {
  folder ??= temporaryFolder();
  serial += 1;
  const certFile = join(folder, `${serial}.pem`);
  const keyFile = join(folder, `${serial}.key`);
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', keyFile];
  const subject = ['-subj', `/CN=${commonName}`, '-days', '2', '-out', certFile];
  execFileSync(findTool('openssl'), ['req', '-x509', ...key, ...subject, ...more], { stdio: 'pipe' });
  return { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8'), certFile, keyFile };
}

function temporaryFolder(): string {
  const made = mkdtempSync(join(tmpdir(), 'backdial-test-'));
  process.once('exit', () => rmSync(made, { recursive: true, force: true }));
  return made;
}
