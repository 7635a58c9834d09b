import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { testAuthority, testCertificate } from '../support/certificates.ts';
import { visit } from '../support/curl.ts';
import { MAIN, startCli } from '../support/run-cli.ts';
import { findTool, missingTools } from '../support/tools.ts';
import { withFolder } from '../support/with-folder.ts';

const DOMAIN = 'www.example.com';
const FAILURES = 50;
const { certFile, keyFile } = testCertificate();
const FILES = {
  'server.json5': JSON.stringify({
    listen: '127.0.0.1:0',
    certificates: [{ hosts: '*', cert: certFile, key: keyFile }],
  }),
  [`domains/${DOMAIN}.json5`]: '{ active: true, secret: "a secret of enough bytes" }',
};

// The kernel's answers cannot be had at will; strace gives them in its place, and the connection waits in the queue.
describe('a server whose accepts fail for a while serves who waited, and who comes next', {
  skip: missingTools('strace', 'curl'),
}, () => {
  for (const error of ['ECONNABORTED', 'ENOBUFS']) {
    it(error, () =>
      withFolder(FILES, async (folder) => {
        const log = join(folder, 'strace.log');
        const inject = ['-e', 'trace=accept4', '-e', `inject=accept4:error=${error}:when=1..${FAILURES}`];
        // -D: the child is the server, so that a signal reaches it. Without a filter every call of it waits for strace, which
        // takes a busy machine a minute.
        const strace = [findTool('strace'), '-D', '-f', '--seccomp-bpf', '-qq', '-o', log, ...inject] as const;
        const server = startCli(['server', '-c', `${folder}/server.json5`], {
          program: [...strace, process.execPath, MAIN],
        });
        try {
          const [, port] = await server.see(/listening on 127\.0\.0\.1:(\d+) \(front door\)/);
          const flags = ['--cacert', testAuthority().certFile, '-o', '/dev/null', '-w', '%{http_code}'];
          for (let count = 0; count < 3; count += 1) {
            assert.equal(await visit(DOMAIN, Number(port), '/', flags), '404');
          }
          const injected = (await readFile(log, 'utf8')).match(new RegExp(` ${error} .*\\(INJECTED\\)`, 'g'));
          assert.equal(injected?.length, FAILURES);
          assert.equal((await server.end('SIGTERM')).code, 0);
        } finally {
          await server.end('SIGKILL');
        }
      }),
    );
  }
});
