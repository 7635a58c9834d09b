import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { lookForTool } from '../support/tools.ts';
import { eventually } from '../support/within.ts';

const skip = lookForTool('nginx') === null ? 'nginx is not installed' : false;
const NGINX = new URL('nginx.ts', import.meta.url).href;
/** Starts a target as benches do, says its pid, and stays. */
const SCRIPT = `import { startTarget } from '${NGINX}'; console.log((await startTarget()).pid); setInterval(() => {}, 1e6);`;

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  test(`a bench that ${signal} ends leaves neither nginx nor its workers behind`, { skip }, async () => {
    const bench = spawn(process.execPath, ['--input-type=module', '--eval', SCRIPT], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [said] = await once(bench.stdout, 'data');
    const pid = Number(String(said));
    await eventually('a worker', () => childrenOf(pid).length === 1);
    const workers = childrenOf(pid);
    bench.kill(signal);
    await once(bench, 'exit');
    await eventually('all are gone', () => [pid, ...workers].every((each) => !existsSync(`/proc/${each}`)));
  });
}

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
}
