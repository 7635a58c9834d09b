import { spawn } from 'node:child_process';
import { createHash, type Hash } from 'node:crypto';
import { once } from 'node:events';
import { pipeline } from 'node:stream/promises';
import { testAuthority } from '../support/certificates.ts';
import { findTool } from '../support/tools.ts';
import { blocks } from './blocks.ts';

/** A transfer that curl calls complete. */
export interface CurlTransfer {
  /** Of the bytes as the visitor has seen them, hexadecimal. */
  readonly sha256: string;
}

/** Downloads; the bytes are hashed and dropped. */
export async function curlDownload(version: string, url: string): Promise<CurlTransfer> {
  const child = curl(version, ['--output', '-', url]);
  child.stdin.end();
  const hash = createHash('sha256');
  for await (const chunk of child.stdout as AsyncIterable<Buffer>) hash.update(chunk);
  return finished(child, hash);
}

/** Uploads so many bytes without telling their number beforehand. */
export async function curlUpload(version: string, url: string, bytes: number): Promise<CurlTransfer> {
  const child = curl(version, ['--upload-file', '-', '--output', '/dev/null', url]);
  const hash = createHash('sha256');
  await pipeline(
    blocks(bytes),
    async function* (source: AsyncIterable<Buffer>) {
      for await (const chunk of source) {
        hash.update(chunk);
        yield chunk;
      }
    },
    child.stdin,
  );
  return finished(child, hash);
}

function curl(version: string, args: readonly string[]) {
  const common = ['--silent', '--show-error', '--fail', '--no-buffer', '--cacert', testAuthority().certFile, version];
  return spawn(findTool('curl'), [...common, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
}

async function finished(child: ReturnType<typeof curl>, hash: Hash): Promise<CurlTransfer> {
  if (child.exitCode === null) await once(child, 'exit');
  if (child.exitCode !== 0) throw new Error(`curl ended with ${child.exitCode}`);
  return { sha256: hash.digest('hex') };
}
