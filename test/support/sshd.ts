import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { runTool, startDaemon } from './real-program.ts';
import { steadyPort } from './steady-port.ts';
import { withFolder } from './with-folder.ts';

/** An sshd of the test's own, that lets in who runs the test. */
export interface TestSshd {
  readonly port: number;
  /** What `ssh` needs in front of `user@host`. */
  readonly flags: readonly string[];
  readonly user: string;
}

/** Runs an sshd while `body` does. */
export function withSshd(body: (sshd: TestSshd) => Promise<void>): Promise<void> {
  return withFolder({}, async (folder) => {
    const file = (name: string) => join(folder, name);
    for (const name of ['host', 'user'])
      await runTool('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file(name)]);
    const port = await steadyPort();
    const settings = [
      `ListenAddress 127.0.0.1:${port}`,
      `HostKey ${file('host')}`,
      `AuthorizedKeysFile ${file('user.pub')}`,
      `PidFile ${file('pid')}`,
      'StrictModes no',
      'UsePAM no',
      'PasswordAuthentication no',
    ];
    await writeFile(file('sshd_config'), `${settings.join('\n')}\n`);
    await chmod(file('user'), 0o600);
    // Where it runs as root it wants the folder that its service would have made.
    if (userInfo().uid === 0) await mkdir('/run/sshd', { recursive: true });
    const sshd = await startDaemon('sshd', ['-D', '-e', '-f', file('sshd_config')], port);
    try {
      const options = ['StrictHostKeyChecking=no', `UserKnownHostsFile=${file('known')}`, 'BatchMode=yes'];
      const flags = [...options.flatMap((option) => ['-o', option]), '-F', 'none', '-i', file('user')];
      await body({ port, flags, user: userInfo().username });
    } finally {
      await sshd.stop();
    }
  });
}
