import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import * as http from 'node:http';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { testAuthority } from '../support/certificates.ts';
import { listenOn } from '../support/listen-on.ts';
import { runTool, type ToolResult } from '../support/real-program.ts';
import { missingTools } from '../support/tools.ts';
import { withFolder } from '../support/with-folder.ts';
import { openTunnel, type Tunnel } from '../support/with-tunnel.ts';

/** Every client resolves it to the loopback address without help. */
const DOMAIN = 'localhost';
const LARGE = randomBytes(20_000_000);
const LARGE_SHA = createHash('sha256').update(LARGE).digest('hex');

let target: http.Server;
let tunnel: Tunnel;
let base: string;

before(async () => {
  target = http.createServer((request, response) => {
    if (request.url === '/large') response.end(LARGE);
    else if (request.url === '/large-chunked')
      response.write(LARGE.subarray(0, 1_000_000), () => response.end(LARGE.subarray(1_000_000)));
    else if (request.url === '/sha') void answerHash(request, response);
    else response.end(`${request.method} ${request.url}`);
  });
  tunnel = await openTunnel({
    target: await listenOn(target),
    connections: 2,
    domain: { name: DOMAIN },
    agentDomain: { name: DOMAIN },
  });
  base = `https://${DOMAIN}:${tunnel.frontDoor}`;
});
after(async () => {
  await tunnel?.close();
  target.closeAllConnections();
  target.close();
});

async function answerHash(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
  const hash = createHash('sha256');
  let length = 0;
  for await (const chunk of request) {
    hash.update(chunk);
    length += chunk.length;
  }
  response.end(`${length} ${hash.digest('hex')}`);
}

function curl(...args: string[]): Promise<ToolResult> {
  const flags = ['--silent', '--show-error', '--noproxy', '*', '--cacert', testAuthority().certFile];
  return runTool('curl', [...flags, ...args]);
}

for (const version of ['--http1.1', '--http2']) {
  describe(`curl ${version}`, { skip: missingTools('curl') }, () => {
    test('gets, posts, asks for heads', async () => {
      assert.equal((await curl(version, '--path-as-is', `${base}/a/../b//c?d=%2525`)).stdout, 'GET /a/../b//c?d=%2525');
      assert.equal((await curl(version, '-d', 'x=1', `${base}/form`)).stdout, 'POST /form');
      assert.match((await curl(version, '--head', `${base}/head`)).stdout, /^HTTP\/[12.]+ 200/);
      assert.equal((await curl(version, '-X', 'PURGE', `${base}/p`)).stdout, 'PURGE /p');
    });

    test('downloads 20 MB without a flaw, with a length and chunked', () =>
      withFolder({}, async (folder) => {
        for (const path of ['/large', '/large-chunked']) {
          const file = join(folder, 'large');
          const { code, stderr } = await curl(version, '-o', file, `${base}${path}`);
          assert.equal(code, 0, stderr);
          const { stdout } = await runTool('sha256sum', [file]);
          assert.equal(stdout.split(' ')[0], LARGE_SHA);
        }
      }));

    test('uploads 20 MB without a flaw, with a length and chunked, with and without Expect', () =>
      withFolder({}, async (folder) => {
        const file = join(folder, 'large');
        await writeFile(file, LARGE);
        for (const flags of [
          [],
          ['-H', 'Expect:'],
          ['-H', 'Expect: 100-continue'],
          ['-H', 'Transfer-Encoding: chunked'],
        ]) {
          if (version === '--http2' && flags[1]?.startsWith('Transfer')) continue;
          const { code, stdout, stderr } = await curl(version, ...flags, '-T', file, `${base}/sha`);
          assert.equal(code, 0, stderr);
          assert.equal(stdout, `${LARGE.length} ${LARGE_SHA}`);
        }
      }));

    test('asks for many things at the same time', async () => {
      const urls = Array.from({ length: 100 }, (_, at) => `${base}/${at}`);
      const { code, stdout, stderr } = await curl(version, '--parallel', ...urls);
      assert.equal(code, 0, stderr);
      const answers = stdout.match(/GET \/\d+/g) ?? [];
      assert.deepEqual(answers.sort(), urls.map((url) => `GET ${new URL(url).pathname}`).sort());
    });
  });
}

test('nghttp asks over one connection for several things at once', { skip: missingTools('nghttp') }, async () => {
  const urls = Array.from({ length: 20 }, (_, at) => `${base}/${at}`);
  const { code, stdout } = await runTool('nghttp', ['--stat', ...urls]);
  assert.equal(code, 0);
  for (const url of urls) assert.ok(stdout.includes(`GET ${new URL(url).pathname}`));
});

for (const [what, flags] of [
  ['HTTP/2', []],
  ['HTTP/1.1', ['--h1']],
] as const) {
  test(`h2load: every one of 3,000 requests over ${what} succeeds`, { skip: missingTools('h2load') }, async () => {
    const load = ['-n', '3000', '-c', '20', '-m', what === 'HTTP/2' ? '20' : '1'];
    const { stdout } = await runTool('h2load', [...load, ...flags, `${base}/load`]);
    assert.match(stdout, /3000 total, 3000 started, 3000 done, 3000 succeeded, 0 failed, 0 errored, 0 timeout/);
    assert.match(stdout, /status codes: 3000 2xx/);
  });
}
