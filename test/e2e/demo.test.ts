import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import * as net from 'node:net';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { startCli } from '../support/run-cli.ts';

/** Runs a line as a person would paste it into a shell. */
async function paste(line: string): Promise<string> {
  const { stdout } = await promisify(execFile)('bash', ['-c', `${line} --silent --show-error --max-time 60`]);
  return stdout;
}

describe('the demo', () => {
  it('prints a curl line that works as pasted, says how to end it, and shows each request', async () => {
    const demo = startCli(['demo', '--port', '0']);
    try {
      const [, url] = await demo.see(/URL {3}(https:\/\/demo\.localhost:\d+\/)/);
      const [, line = ''] = await demo.see(/^ {2}(curl .+)$/m);
      await demo.see(/Press Ctrl-C to end it/);
      assert.ok(line.endsWith(` ${url}`));
      const answer = await paste(line);
      assert.match(answer, /^Hello from behind the tunnel\.\n\nGET \/\n/);
      assert.match(answer, /^x-forwarded-proto: https$/im);
      await demo.see(/GET \/ 200 /);
      const caFile = /--cacert (\S+)/.exec(line)?.[1] ?? '';
      assert.ok(existsSync(caFile));
      const { code, stderr } = await demo.end('SIGINT');
      assert.deepEqual([code, stderr], [0, '']);
      assert.ok(!existsSync(caFile), 'it leaves nothing behind');
    } finally {
      demo.child.kill('SIGKILL');
    }
  });

  it('takes another port when its usual one is taken, and with -q shows no requests', async () => {
    const blocker = net.createServer();
    // Whoever has the port already, this test or another program: it is taken.
    await new Promise<void>((resolve) => {
      blocker.once('error', () => resolve());
      blocker.listen(8443, '127.0.0.1', resolve);
    });
    const demo = startCli(['demo', '-q']);
    try {
      const [, port] = await demo.see(/URL {3}https:\/\/demo\.localhost:(\d+)\//);
      assert.notEqual(port, '8443');
      const [, line = ''] = await demo.see(/^ {2}(curl .+)$/m);
      assert.match(await paste(line), /^Hello/);
      const { stdout } = await demo.end('SIGTERM');
      assert.doesNotMatch(stdout, /GET \/ 200/);
    } finally {
      blocker.close();
      demo.child.kill('SIGKILL');
    }
  });

  it('ends at once when nothing is open, also while it starts', async () => {
    const demo = startCli(['demo', '--port', '0']);
    try {
      await demo.see(/./);
      const began = performance.now();
      assert.equal((await demo.end('SIGTERM')).code, 0);
      assert.ok(performance.now() - began < 20_000);
    } finally {
      demo.child.kill('SIGKILL');
    }
  });
});
