import { randomBytes, randomUUID } from 'node:crypto';
import { access, chmod, chown, constants, copyFile, link, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BackdialError } from '../core/errors.ts';
import { makeFolder } from '../core/make-folder.ts';
import { Secret } from '../core/secret.ts';
import { domainFileName } from './domain-folder.ts';
import { faultOf } from './read-file.ts';

/** 191 random bits in 32 characters that need no quotes anywhere. */
export function makeSecret(): Secret {
  const bytes = randomBytes(24);
  // The first character is a letter: one that begins with - would be taken for a flag.
  bytes[0] = (bytes[0] ?? 0) & 0x7f;
  return new Secret(bytes.toString('base64url'));
}

/** The text of a server's domain file: active, with one secret. */
export function domainFileText(name: string, secret: Secret): string {
  return `// ${name}: an agent that shows the secret serves this domain.
{
  active: true,
  secret: ${JSON.stringify(secret.reveal())},
}
`;
}

/**
 * Writes the file of a new domain into `folder`, which is made, for its owner alone, where it is missing; gives its path. The file
 * is for its owner, and for the group where the folder lets that in and nobody else: the service's. Fails with `input-invalid` when
 * the domain has a file already, or when it cannot be written.
 */
export async function writeDomainFile(folder: string, name: string, text: string): Promise<string> {
  const file = join(folder, domainFileName(name));
  const sibling = file.replace(/5$/, '');
  if (await exists(sibling)) throw isServed(sibling);
  // A server that watches the folder looks at no name that begins with a dot.
  const draft = join(folder, `.${domainFileName(name)}.${randomUUID()}`);
  try {
    await makeFolder(folder, 0o700);
    await writeFile(draft, text, { flag: 'wx', mode: 0o600 });
    try {
      await shareWithGroup(draft, folder);
      await placeNew(draft, file);
    } finally {
      await rm(draft);
    }
    return file;
  } catch (error) {
    if (error instanceof BackdialError) throw error;
    throw new BackdialError('input-invalid', `${file} ${faultOf(error)}`, { cause: error });
  }
}

async function shareWithGroup(file: string, folder: string): Promise<void> {
  const [{ uid }, { gid, mode }] = await Promise.all([stat(file), stat(folder)]);
  if ((mode & 0o057) !== 0o050) return;
  try {
    await chown(file, uid, gid);
    await chmod(file, 0o640);
  } catch {
    // Not a member of that group: who is has to give it the file.
  }
}

/** Never over a secret that agents use. */
async function placeNew(draft: string, file: string): Promise<void> {
  try {
    await link(draft, file).catch((error: NodeJS.ErrnoException) => {
      if (!NO_HARD_LINKS.has(error.code ?? '')) throw error;
      return copyFile(draft, file, constants.COPYFILE_EXCL);
    });
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === 'EEXIST' ? isServed(file) : error;
  }
}

/** What file systems without hard links answer: FAT, and many that are mounted from elsewhere. They know no owner of a file either. */
const NO_HARD_LINKS: ReadonlySet<string> = new Set(['EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP']);

function isServed(file: string): BackdialError {
  return new BackdialError('input-invalid', `${file} has this domain already`);
}

/** What an agent needs to serve a domain. */
export interface AgentLine {
  readonly name: string;
  readonly secret: Secret;
  /** `host` or `host:port` under which agents reach the server. */
  readonly server: string;
  /** `sha256/...` where the server's certificate is its own; null otherwise. */
  readonly pin: string | null;
}

/** The command that serves port 3000 of the agent's machine; the secret stays out of the list of processes. */
export function agentLine({ name, secret, server, pin }: AgentLine): string {
  const flags = [`--server ${quote(server)}`, `--domain ${quote(name)}`, ...(pin === null ? [] : [`--pin ${pin}`])];
  return `BACKDIAL_SECRET=${quote(secret.reveal())} backdial http 3000 ${flags.join(' ')}`;
}

function quote(text: string): string {
  return /^[\w.:-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

async function exists(file: string): Promise<boolean> {
  try {
    await access(file);
    return true;
  } catch {
    return false;
  }
}
