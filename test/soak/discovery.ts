import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { findTool, lookForTool } from '../support/tools.ts';
import { withFolder } from '../support/with-folder.ts';
import type { Soak } from './soak.ts';

const PROGRAM = fileURLToPath(new URL('./discovery-program.ts', import.meta.url));
const DEADLINE_MS = 180_000;

export const discoverySoak: Soak = {
  name: 'discovery',
  about: 'the addresses of a name come and go, and its DNS fails, as the system itself resolves it',
  async run() {
    if (process.getuid?.() !== 0 || lookForTool('unshare') === null || lookForTool('ip') === null) {
      return 'NOT RUN: needs root, `unshare` and `ip`; test/agent/resolver.test.ts shows the same without getaddrinfo';
    }
    return withFolder(
      { 'resolv.conf': 'nameserver 127.0.0.1\n', 'nsswitch.conf': 'hosts: files dns\n' },
      async (folder) => {
        const mounts = ['resolv.conf', 'nsswitch.conf'].map((file) => `mount --bind ${folder}/${file} /etc/${file}`);
        const steps = [`${findTool('ip')} link set lo up`, ...mounts, `exec "${process.execPath}" "${PROGRAM}"`];
        const args = ['--net', '--mount', 'sh', '-ec', steps.join('\n')];
        const { stdout } = await promisify(execFile)(findTool('unshare'), args, { timeout: DEADLINE_MS });
        return stdout.trim();
      },
    );
  },
};
