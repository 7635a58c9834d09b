import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import * as http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { testAuthority, testCertificate } from '../support/certificates.ts';
import { visit } from '../support/curl.ts';
import { closerOf, listenOn } from '../support/listen-on.ts';
import { type RunningCli, startCli } from '../support/run-cli.ts';
import { missingTools } from '../support/tools.ts';
import { undisturbed } from '../support/undisturbed.ts';
import { within } from '../support/within.ts';

const SECRET = 'a secret that is in no log';
/** Makes a fault in the program when it gets SIGUSR2. */
const FAULTS = {
  'an exception that nobody caught': `process.on('SIGUSR2', () => { throw new Error('boom\\nforged line') })`,
  'a rejection that nobody handled': `process.on('SIGUSR2', () => { Promise.reject(new Error('boom\\nforged line')) })`,
};

async function withProgram(
  kind: 'server' | 'agent',
  fault: string,
  body: (program: RunningCli) => Promise<void>,
  more: object = {},
) {
  const folder = mkdtempSync(join(tmpdir(), 'backdial-test-'));
  const { certFile, keyFile } = testCertificate();
  const files = {
    'server.json5': { listen: '127.0.0.1:0', certificates: [{ hosts: ['*'], cert: certFile, key: keyFile }] },
    'agent.json5': {},
    'domains/www.example.com.json5': {
      active: true,
      secret: SECRET,
      ...more,
      ...(kind === 'agent' ? { remote: '127.0.0.1:1', targets: { target: 'http://127.0.0.1:1' } } : {}),
    },
  };
  mkdirSync(join(folder, 'domains'));
  for (const [file, value] of Object.entries(files)) {
    writeFileSync(join(folder, file), JSON.stringify(value), { mode: 0o600 });
  }
  const nodeFlags = ['--import', `data:text/javascript,${encodeURIComponent(fault)}`];
  const program = startCli([kind, '-c', join(folder, `${kind}.json5`)], { nodeFlags });
  try {
    await program.see(kind === 'server' ? /"msg":"ready; / : /"event":"dial-failed"/);
    await body(program);
  } finally {
    program.child.kill('SIGKILL');
    rmSync(folder, { recursive: true });
  }
}

describe('a fault that nobody caught', () => {
  for (const [kind, what] of [
    ['server', 'an exception that nobody caught'],
    ['agent', 'a rejection that nobody handled'],
  ] as const) {
    it(`${what} in the ${kind} is logged, with where it came from and no secret; then it ends with exit code 70`, () =>
      withProgram(kind, FAULTS[what], async (program) => {
        const { code, stdout } = await program.end('SIGUSR2');
        assert.equal(code, 70);
        const line = stdout.split('\n').find((text) => text.includes('"event":"crash"'));
        assert.ok(line, stdout);
        const { level, msg, stack } = JSON.parse(line) as Record<string, string>;
        assert.equal(level, 'fatal');
        assert.match(msg ?? '', new RegExp(`^${what}: boom.*forged line; draining for 1000 ms, then exit 70$`));
        assert.match(stack ?? '', /data:text\/javascript/);
        assert.ok(!stdout.includes(SECRET));
        assert.doesNotMatch(stdout, /^forged/m);
      }));
  }

  it(
    'lets what is open end before the program does',
    { skip: missingTools('curl') },
    undisturbed(async (t) => {
      const target = http.createServer();
      t.after(closerOf(target));
      const port = await listenOn(target);
      const [fault = ''] = Object.values(FAULTS);
      await withProgram(
        'server',
        fault,
        async (program) => {
          const [, frontDoor] = await program.see(/listening on 127\.0\.0\.1:(\d+) \(front door\)/);
          const asked = once(target, 'request');
          const answer = visit('www.example.com', Number(frontDoor), '/', ['--cacert', testAuthority().certFile]);
          const [, response] = (await within('the request', asked)) as [unknown, http.ServerResponse];
          program.child.kill('SIGUSR2');
          await program.see(/"event":"crash"/);
          response.end('whole');
          assert.equal(await answer, 'whole');
          assert.equal((await program.end()).code, 70);
        },
        { target: port },
      );
    }),
  );
});
