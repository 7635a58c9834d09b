import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import * as http from 'node:http';
import * as https from 'node:https';
import { it } from 'node:test';
import { createAgent, Secret } from '../../src/index.ts';
import { testAuthority, testCertificate } from '../support/certificates.ts';
import { listenOn } from '../support/listen-on.ts';
import { MAIN } from '../support/run-cli.ts';
import { findTool, missingTools } from '../support/tools.ts';
import { withFolder } from '../support/with-folder.ts';
import { eventually, within } from '../support/within.ts';

const VISIT_MS = 10;
/** A stand-in for systemd's socket unit: holds the socket, and starts the service with it for each line that it reads. */
const HOLDER = `
  use IO::Socket::INET; use POSIX; $^F = 255; $| = 1;
  my $socket = IO::Socket::INET->new(Listen => 1024, LocalAddr => '127.0.0.1:0') or die $!;
  POSIX::dup2(fileno($socket), 3) or die $!;
  print 'port ', $socket->sockport, "\\n";
  while (<STDIN>) {
    my $pid = fork;
    if ($pid == 0) { @ENV{'LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES'} = ($$, 1, 'https'); exec @ARGV }
    print "pid $pid\\n"; waitpid $pid, 0; print "ended $?\\n";
  }`;

const SECRET = 'a secret of enough bytes for this';

for (const behind of ['a target beside the server', 'an agent', 'an agent that ends TLS'] as const) {
  it(`a restart behind a socket that systemd holds refuses and cuts nobody, under load: ${behind}`, {
    skip: missingTools('perl'),
  }, async () => {
    await using stack = new AsyncDisposableStack();
    // So slow that some are on their way whenever the signal comes.
    const answer = (_request: unknown, response: http.ServerResponse): void =>
      void setTimeout(() => response.end('hello'), 5 * VISIT_MS);
    const isBehindAgent = behind !== 'a target beside the server';
    const isPassed = behind === 'an agent that ends TLS';
    const { cert, key } = testCertificate();
    const target = isPassed ? https.createServer({ cert, key }, answer) : http.createServer(answer);
    stack.defer(() => void target.close().closeAllConnections());
    const port = await listenOn(target);
    const { certFile, keyFile } = testCertificate();
    const files = {
      'server.json5': JSON.stringify({
        listen: 'systemd:https',
        certificates: [{ hosts: '*', cert: certFile, key: keyFile }],
      }),
      'domains/www.example.com.json5': JSON.stringify({
        active: true,
        tls: isPassed ? 'passthrough' : 'terminate',
        ...(isBehindAgent ? { secret: SECRET } : { target: port }),
      }),
    };
    await withFolder(files, async (folder) => {
      const program = [process.execPath, MAIN, 'server', '-c', `${folder}/server.json5`];
      const holder = spawn(findTool('perl'), ['-e', HOLDER, '--', ...program], { stdio: ['pipe', 'pipe', 'inherit'] });
      const last = (pattern: RegExp): number => Number(Array.from(said.matchAll(pattern)).at(-1)?.[1] ?? 0);
      const count = (text: string): number => said.split(text).length - 1;
      let said = '';
      holder.stdout.setEncoding('utf8').on('data', (text: string) => {
        said += text;
      });
      let starts = 0;
      const start = async (): Promise<void> => {
        starts += 1;
        holder.stdin.write('start\n');
        await eventually('a server that is ready', () => count('"msg":"ready; ') === starts);
      };
      try {
        await start();
        const frontDoor = last(/port (\d+)/g);
        if (isBehindAgent) {
          const agent = createAgent({
            domains: [
              {
                name: 'www.example.com',
                secret: new Secret(SECRET),
                remote: [`127.0.0.1:${frontDoor}`],
                ca: testAuthority().cert,
                target: { kind: 'tcp', host: '127.0.0.1', port },
              },
            ],
          });
          stack.defer(() => agent.close({ drainMs: 0 }));
          agent.start();
          await within('a tunnel', agent.ready);
        }
        const visitors = keepVisiting(frontDoor);
        await eventually('visitors', () => visitors.answers.length > 20);
        process.kill(last(/pid (\d+)/g), 'SIGTERM');
        await eventually('its end', () => count('ended 0') === 1);
        await start();
        const answers = await visitors.end();
        assert.deepEqual([...new Set(answers)], ['200']);
      } finally {
        holder.stdin.end();
        if (last(/pid (\d+)/g) > 0) process.kill(last(/pid (\d+)/g), 'SIGKILL');
      }
    });
  });
}

/** Visitors with a connection each, one after the other, whatever becomes of those before. */
function keepVisiting(port: number): { readonly answers: readonly string[]; end(): Promise<readonly string[]> } {
  const answers: string[] = [];
  const open = new Set<Promise<void>>();
  const options = { host: '127.0.0.1', port, agent: false, servername: 'www.example.com', ca: testAuthority().cert };
  const visit = () =>
    new Promise<string>((resolve) => {
      const request = https.get({ ...options, headers: { host: 'www.example.com' } }, (response) => {
        response.resume().on('end', () => resolve(String(response.statusCode)));
      });
      request.on('error', (error) => resolve(error.message));
    });
  const timer = setInterval(() => {
    const going = visit().then((answer) => {
      answers.push(answer);
      open.delete(going);
    });
    open.add(going);
  }, VISIT_MS);
  return {
    answers,
    end: async () => {
      clearInterval(timer);
      await Promise.all(open);
      return answers;
    },
  };
}
