import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { findTool } from './tools.ts';

/** The body that curl gets for `https://domain:port/path` at the loopback address; fails where curl does. */
export async function visit(
  domain: string,
  port: number,
  path: string,
  flags: readonly string[] = [],
): Promise<string> {
  const resolve = [
    '--resolve',
    `${domain}:${port}:127.0.0.1`,
    '--noproxy',
    '*',
    '--max-time',
    '60',
    '--silent',
    '--show-error',
  ];
  const { stdout } = await promisify(execFile)(findTool('curl'), [
    ...resolve,
    ...flags,
    `https://${domain}:${port}${path}`,
  ]);
  return stdout;
}
