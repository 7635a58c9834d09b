import { X509Certificate } from 'node:crypto';
import { chmod, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BackdialError } from '../core/errors.ts';
import { makeFolder } from '../core/make-folder.ts';
import { pinOf } from '../net/pin.ts';

/** The certificate of a server that was given none. */
export interface SelfSigned {
  /** PEM. */
  readonly cert: string;
  /** PEM. */
  readonly key: string;
  /** `sha256/<base64>`, for `--pin`. */
  readonly pin: string;
  /** True when it was made now: agents that pinned an older one must be told. */
  readonly created: boolean;
  /** True when its file was gone and was written again. */
  readonly restored: boolean;
}

/** Long: agents pin the key, and a certificate that ends would cut them all off at once. */
const DAYS = 3_650;
const FILE = 'self-signed.pem';

/**
 * The self-signed certificate that is kept in the folder `state`; made when there is none, or when it has ended. Key and
 * certificate are one file (0600), so that they cannot be of two minds. Fails with `config-invalid` when the folder cannot
 * be used or the file is damaged: a new key made in silence would lock every agent out. For the same reason the one that is
 * `inForce` is written again where its file is gone.
 */
export async function keepSelfSigned(
  state: string,
  hosts: readonly string[],
  inForce: SelfSigned | null = null,
): Promise<SelfSigned> {
  const file = join(state, FILE);
  try {
    const text = await readFile(file, 'utf8').catch(missing);
    if (text !== null) {
      const kept = parse(text);
      if (kept === null) throw new Error('it does not hold a certificate and its key; put it back or remove it');
      if (isValid(kept.cert)) return { ...kept, created: false, restored: false };
    } else if (inForce !== null && isValid(inForce.cert)) {
      await writeAtomically(state, file, textOf(inForce));
      return { ...inForce, created: false, restored: true };
    }
    // Its library takes longer to load than many a configuration to read, and is needed once in ten years.
    const { makeSelfSigned } = await import('../pki/self-signed.ts');
    const { cert, key } = await makeSelfSigned({ hosts: [...hosts], days: DAYS });
    await writeAtomically(state, file, textOf({ cert, key }));
    return { cert, key, pin: pinOf(cert), created: true, restored: false };
  } catch (error) {
    const { message } = error as Error;
    throw new BackdialError('config-invalid', `\`state\`: ${file}: ${message}`, { cause: error });
  }
}

function isValid(cert: string): boolean {
  return new X509Certificate(cert).validToDate.getTime() > Date.now();
}

function textOf({ cert, key }: Pick<SelfSigned, 'cert' | 'key'>): string {
  return `${key.trimEnd()}\n${cert.trimEnd()}\n`;
}

function parse(text: string): { cert: string; key: string; pin: string } | null {
  const key = /-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]+-----END [A-Z ]*PRIVATE KEY-----/.exec(text)?.[0];
  const cert = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/.exec(text)?.[0];
  if (key === undefined || cert === undefined) return null;
  return { cert: `${cert}\n`, key: `${key}\n`, pin: pinOf(cert) };
}

function missing(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT') return null;
  throw error;
}

/** A crash leaves the old file or the new one, never a part; the key is at no moment readable by others. */
async function writeAtomically(folder: string, file: string, text: string): Promise<void> {
  await makeFolder(folder, 0o700);
  const draft = `${file}.${process.pid}.tmp`;
  try {
    const handle = await open(draft, 'w', 0o600);
    try {
      // `w` keeps the mode of a file that a crash left behind.
      await chmod(draft, 0o600);
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(draft, file);
  } catch (error) {
    await rm(draft, { force: true }).catch(() => {});
    throw error;
  }
}

/** The pin of the certificate that is kept in `state`; null when there is none that this user may read. Makes nothing. */
export async function keptPin(state: string): Promise<string | null> {
  const text = await readFile(join(state, FILE), 'utf8').catch(() => null);
  return text === null ? null : (parse(text)?.pin ?? null);
}
