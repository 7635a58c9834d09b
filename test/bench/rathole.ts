import { execFileSync } from 'node:child_process';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { lookForTool } from '../support/tools.ts';
import { freePort, startProgram, untilTrue } from './program.ts';
import { Scratch } from './scratch.ts';
import { answersHttp } from './visit.ts';

/** A rathole server and client, joined; server and client count together. */
export interface Rathole {
  readonly pids: readonly number[];
  /** Where visitors connect. */
  readonly port: number;
  [Symbol.asyncDispose](): Promise<void>;
}

/** `rathole` on the path, or where cargo puts it; null where it is not installed. */
export function lookForRathole(): string | null {
  return lookForTool('rathole') ?? lookForTool(join(homedir(), '.cargo/bin/rathole'));
}

/** Starts both ends with the noise transport: encrypted, as a tunnel of Backdial is. */
export async function startRathole(targetPort: number): Promise<Rathole> {
  const command = lookForRathole();
  if (command === null) throw new Error('rathole is not installed (`cargo install rathole`)');
  const scratch = new Scratch('rathole');
  const [control, port] = [await freePort(), await freePort()];
  const [privateKey, publicKey] = makeKeys(command);
  const serverFile = scratch.write(
    'server.toml',
    `[server]\nbind_addr = "127.0.0.1:${control}"\ndefault_token = "bench"\n` +
      `[server.transport]\ntype = "noise"\n[server.transport.noise]\nlocal_private_key = "${privateKey}"\n` +
      `[server.services.bench]\nbind_addr = "127.0.0.1:${port}"\n`,
  );
  const clientFile = scratch.write(
    'client.toml',
    `[client]\nremote_addr = "127.0.0.1:${control}"\ndefault_token = "bench"\n` +
      `[client.transport]\ntype = "noise"\n[client.transport.noise]\nremote_public_key = "${publicKey}"\n` +
      `[client.services.bench]\nlocal_addr = "127.0.0.1:${targetPort}"\n`,
  );
  const server = startProgram('rathole server', command, ['--server', serverFile]);
  const client = startProgram('rathole client', command, ['--client', clientFile]);
  await untilTrue(client, 'an answer through rathole', () => answersHttp(port));
  return {
    pids: [server.pid, client.pid],
    port,
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

function makeKeys(command: string): [privateKey: string, publicKey: string] {
  const text = execFileSync(command, ['--genkey'], { encoding: 'utf8' });
  const keys = text.match(/^[A-Za-z0-9+/]{43}=$/gm);
  if (keys?.length !== 2) throw new Error(`rathole --genkey: two keys were expected, not:\n${text}`);
  return keys as [string, string];
}
