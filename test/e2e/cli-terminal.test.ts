import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import * as http from 'node:http';
import { describe, it } from 'node:test';
import { visit } from '../support/curl.ts';
import { listenOn } from '../support/listen-on.ts';
import { MAIN, startCli } from '../support/run-cli.ts';
import { missingTools } from '../support/tools.ts';
import { withFolder } from '../support/with-folder.ts';
import { eventually } from '../support/within.ts';

const SECRET = 'the-secret-of-these-tests';

/**
 * Runs `backdial` on a terminal of 70 columns, or another number (`script` makes one); `codeTo`: its exit code goes there, whatever
 * becomes of the terminal.
 */
function onTerminal(line: string, codeTo?: string, columns = 70) {
  const program = `'${process.execPath}' '${MAIN}' ${line}`;
  // Only the leader of the session is told of its end.
  const outliving = `${program} & trap "kill -HUP $!" HUP; wait; wait $!; echo "code $?" > '${codeTo}'`;
  const command = `stty cols ${columns}; ${codeTo === undefined ? `exec ${program}` : outliving}`;
  const child = spawn('script', ['-qfec', command, '/dev/null'], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: { ...process.env, NO_COLOR: '1', TERM: 'xterm' },
  });
  let shown = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    shown += part;
  });
  return { child, shown: () => shown };
}

describe('a terminal', { skip: missingTools('script', 'stty') }, () => {
  it('that does not know how wide it is gets lines of the usual width', async () => {
    for (const line of ['--help', 'hostname --help']) {
      const { child, shown } = onTerminal(line, undefined, 0);
      await once(child, 'close');
      const longest = Math.max(
        ...shown()
          .split(/\r?\n/)
          .map(({ length }) => length),
      );
      assert.ok(longest > 70 && longest <= 80, `${line}: ${longest}`);
    }
  });
});

describe('status --watch on a terminal', { skip: missingTools('script', 'stty') }, () => {
  it('clears the screen each time, never what was scrolled out of it, and waits for a program that does not answer', async () => {
    await withFolder({}, async (folder) => {
      const { child, shown } = onTerminal(`status --watch --url unix:${folder}/none.sock`);
      try {
        const screens = () => shown().split('\u001b[H\u001b[J');
        await eventually('two screens', () => {
          assert.equal(child.exitCode, null, `it ended: ${shown()}`);
          return screens().filter((each) => each.includes('nothing listens at')).length >= 2;
        });
        assert.equal(screens()[0], '');
        assert.ok(!shown().includes('\u001b[3J'));
      } finally {
        child.kill('SIGKILL');
      }
    });
  });
});

describe('http on a terminal', { skip: missingTools('script', 'stty') }, () => {
  it('shows the public address, the state of the tunnel, and one line a request that fits, and none with -q; Ctrl-C ends it, and so does the end of the terminal', async () => {
    await using stack = new AsyncDisposableStack();
    const target = http.createServer((request, response) => request.url !== '/held' && response.end('hello'));
    stack.defer(() => void target.close());
    const targetPort = await listenOn(target);
    const files = {
      'server.json5': '{ listen: "127.0.0.1:0" }',
      'domains/www.example.com.json5': `{ active: true, secret: "${SECRET}" }`,
      secret: SECRET,
    };
    await withFolder(files, async (folder) => {
      const server = startCli(['server', '-c', `${folder}/server.json5`]);
      stack.defer(() => void server.child.kill('SIGKILL'));
      const [, pin] = await server.see(/--pin (sha256\/\S{44})/);
      const [, port = ''] = await server.see(/listening on 127\.0\.0\.1:(\d+)/);
      const flags = `--server 127.0.0.1:${port} --domain www.example.com --pin ${pin} --secret-file ${folder}/secret`;
      const agent = onTerminal(`http ${targetPort} ${flags}`);
      try {
        await eventually('online', () => agent.shown().includes('online: tunnel to'));
        assert.match(agent.shown(), new RegExp(`public  https://www\\.example\\.com:${port}\r`));
        const hostile = `/${'long/'.repeat(40)}`;
        await visit('www.example.com', Number(port), hostile, ['--insecure']);
        await eventually('the request', () => /GET \/long.*… 200 /.test(agent.shown()));
        const [line = ''] = agent.shown().match(/^.*GET \/long.*$/m) ?? [];
        assert.ok(line.trimEnd().length <= 70, line);
        assert.ok(!agent.shown().includes(SECRET));
        agent.child.stdin.write('\u0003');
        const [code] = await once(agent.child, 'exit');
        assert.equal(code, 0);
      } finally {
        agent.child.kill('SIGKILL');
      }
      const quiet = onTerminal(`http ${targetPort} ${flags} --instance quiet -q`);
      try {
        await server.see(/opened: instance quiet/);
        assert.equal(await visit('www.example.com', Number(port), '/unseen', ['--insecure']), 'hello');
        quiet.child.stdin.write('\u0003');
        await once(quiet.child, 'exit');
        assert.match(quiet.shown(), /public {2}https:/);
        assert.doesNotMatch(quiet.shown(), /online|unseen/);
      } finally {
        quiet.child.kill('SIGKILL');
      }
      const codeTo = `${folder}/code`;
      const orphan = onTerminal(`http ${targetPort} ${flags}`, codeTo);
      try {
        await eventually('online', () => orphan.shown().includes('online: tunnel to'));
        const held = once(target, 'request', { signal: AbortSignal.timeout(60_000) });
        const visited = visit('www.example.com', Number(port), '/held', ['--insecure']);
        const [, response] = await held;
        // The terminal is closed: who waits for an answer gets it, and nothing can be said any more.
        orphan.child.kill('SIGKILL');
        response.end('the answer');
        assert.equal(await visited, 'the answer');
        await eventually('the end', () => existsSync(codeTo) && readFileSync(codeTo, 'utf8') === 'code 0\n');
      } finally {
        orphan.child.kill('SIGKILL');
      }
    });
  });
});
