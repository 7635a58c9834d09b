import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { findTool } from '../support/tools.ts';
import { freePort, startProgram, untilAccepts, untilTrue } from './program.ts';
import { Scratch } from './scratch.ts';
import { answersHttp } from './visit.ts';

/** `ssh -R` to a server of its own; both programs count. */
export interface ReverseSsh {
  readonly pids: readonly number[];
  /** Where visitors connect. */
  readonly port: number;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Starts `sshd` as the current user and `ssh -R` towards it, with keys of this run only. */
export async function startReverseSsh(targetPort: number): Promise<ReverseSsh> {
  const scratch = new Scratch('ssh');
  const [control, port] = [await freePort(), await freePort()];
  const { uid, username } = userInfo();
  // Root's sshd wants its folder, which only the service's unit makes.
  if (uid === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
  const hostKey = makeKey(scratch, 'host');
  const userKey = makeKey(scratch, 'user');
  const configuration = scratch.write(
    'sshd_config',
    [
      `ListenAddress 127.0.0.1:${control}`,
      `HostKey ${hostKey}`,
      `AuthorizedKeysFile ${userKey}.pub`,
      `PidFile ${join(scratch.folder, 'pid')}`,
      'StrictModes no',
      'UsePAM no',
      'PermitRootLogin yes',
    ].join('\n'),
  );
  const server = startProgram('sshd', findTool('sshd'), ['-D', '-e', '-f', configuration]);
  await untilAccepts(server, control);
  const forward = `127.0.0.1:${port}:127.0.0.1:${targetPort}`;
  const options = [
    'StrictHostKeyChecking=no',
    'UserKnownHostsFile=/dev/null',
    'ExitOnForwardFailure=yes',
    'BatchMode=yes',
  ];
  const client = startProgram('ssh', findTool('ssh'), [
    ...['-N', '-F', 'none', '-i', userKey, '-p', String(control), '-R', forward],
    ...options.flatMap((option) => ['-o', option]),
    `${username}@127.0.0.1`,
  ]);
  await untilTrue(client, 'an answer through ssh -R', () => answersHttp(port));
  return {
    pids: [server.pid, client.pid],
    port,
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

function makeKey(scratch: Scratch, name: string): string {
  const file = join(scratch.folder, name);
  execFileSync(findTool('ssh-keygen'), ['-q', '-t', 'ed25519', '-N', '', '-f', file], { stdio: 'pipe' });
  return file;
}
