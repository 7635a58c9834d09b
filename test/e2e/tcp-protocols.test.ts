import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { connectPeer, startRawTarget } from '../support/raw-target.ts';
import { runTool, startDaemon } from '../support/real-program.ts';
import { withSshd } from '../support/sshd.ts';
import { steadyPort } from '../support/steady-port.ts';
import { missingTools } from '../support/tools.ts';
import { type Ending, endingOfError } from '../support/verdict.ts';
import { withFolder } from '../support/with-folder.ts';
import { withTunnel } from '../support/with-tunnel.ts';
import { within } from '../support/within.ts';

describe('through the TCP way in', () => {
  test('redis-cli works with a redis-server', { skip: missingTools('redis-server', 'redis-cli') }, () =>
    withFolder({}, async (folder) => {
      const port = await steadyPort();
      const flags = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', folder];
      const redis = await startDaemon('redis-server', flags, port);
      try {
        await withTunnel({ target: port }, async ({ tcp }) => {
          const cli = (...args: string[]) => runTool('redis-cli', ['-h', '127.0.0.1', '-p', String(tcp), ...args]);
          assert.equal((await cli('set', 'name', 'a value')).stdout, 'OK\n');
          assert.equal((await cli('get', 'name')).stdout, 'a value\n');
          const piped = Array.from({ length: 5_000 }, (_, at) => `SET key${at} ${at}\r\n`).join('');
          const pipe = await runTool('redis-cli', ['-h', '127.0.0.1', '-p', String(tcp), '--pipe'], piped);
          assert.match(pipe.stdout, /errors: 0, replies: 5000/);
          assert.equal((await cli('dbsize')).stdout, '5001\n');
        });
      } finally {
        await redis.stop();
      }
    }),
  );

  test('ssh logs in to an sshd, which speaks first', { skip: missingTools('sshd', 'ssh', 'ssh-keygen') }, () =>
    withSshd(({ port, flags, user }) =>
      withTunnel({ target: port }, async ({ tcp }) => {
        const where = ['-p', String(tcp), `${user}@127.0.0.1`];
        const { code, stdout, stderr } = await runTool(
          'ssh',
          [...flags, ...where, 'cat; exit 7'],
          'through the tunnel',
        );
        assert.equal(stdout, 'through the tunnel', stderr);
        assert.equal(code, 7);
      }),
    ),
  );

  test('who speaks first is heard, though the visitor says nothing', async () => {
    await using target = await startRawTarget({ onPeer: (peer) => void peer.stream.write('220 smtp.test ESMTP\r\n') });
    await withTunnel({ target: target.port }, async ({ tcp }) => {
      const visitor = await connectPeer(tcp);
      assert.equal(await visitor.receivedText('\r\n'), '220 smtp.test ESMTP');
      visitor.close();
    });
  });

  test('a visitor that sends all it has and half-closes, as `nc -N` does, gets all of the answer', async () => {
    const input = 'x'.repeat(300_000);
    await using target = await startRawTarget({
      onPeer(peer) {
        void peer.ending.then(async () => {
          await peer.send(`got ${peer.length} bytes`);
          peer.fin();
        });
      },
    });
    await withTunnel({ target: target.port }, async ({ tcp }) => {
      const visitor = await connectPeer(tcp);
      await visitor.send(input);
      visitor.fin();
      assert.equal((await within('the end', visitor.ending)).verdict, 'clean');
      assert.equal(visitor.text, `got ${input.length} bytes`);
    });
  });
});

test('each of many dials at the same time is answered by its own stream', async () => {
  await using target = await startRawTarget({
    onPeer(peer) {
      void peer.receivedText('\n').then(
        (name) => peer.send(`you are ${name}\n`),
        () => {},
      );
    },
  });
  await withTunnel({ target: target.port, connections: 3 }, async ({ tcp }) => {
    const silent = await connectPeer(tcp);
    const visits = Array.from({ length: 200 }, async (_, at) => {
      const visitor = await connectPeer(tcp);
      await visitor.send(`visitor ${at}\n`);
      assert.equal(await visitor.receivedText('\n'), `you are visitor ${at}`);
      visitor.close();
    });
    await Promise.all(visits);
    // One who said nothing all the time has blocked nobody, and is still there.
    await silent.send('late\n');
    assert.equal(await silent.receivedText('\n'), 'you are late');
    silent.close();
  });
});

test('a TCP port leads to what `ports` has for it, any other one to the only target of the domain', async () => {
  await using only = await startRawTarget();
  await using other = await startRawTarget();
  const [listed, unlisted] = [await steadyPort(), await steadyPort()];
  const listen = [listed, unlisted].map((port) => ({ host: '127.0.0.1', port }));
  const ports = { [listed]: { kind: 'tcp', host: '127.0.0.1', port: other.port } } as const;
  await withTunnel({ target: only.port, domain: { listen }, agentDomain: { ports } }, async () => {
    for (const [port, target] of [
      [listed, other],
      [unlisted, only],
    ] as const) {
      const visitor = await connectPeer(port);
      await visitor.send('in');
      await (await target.next()).received(2);
      visitor.close();
    }
    assert.deepEqual([only.peers.length, other.peers.length], [1, 1]);
  });
});

test('a target that refuses resets the visitor at once', async () => {
  const port = await steadyPort();
  await withTunnel({ target: port }, async ({ tcp }) => {
    assert.equal((await within('the end', endOfVisit(tcp))).verdict, 'reset');
  });
});

test('where nobody serves the domain the visitor is reset at once', async () => {
  await using target = await startRawTarget();
  await withTunnel({ target: target.port }, async ({ tcp, agent }) => {
    await agent.close({ drainMs: 0 });
    assert.equal((await within('the end', endOfVisit(tcp))).verdict, 'reset');
  });
});

/** How a visit ends that gets nowhere: the reset may even come before the visitor knows that it is connected. */
function endOfVisit(port: number): Promise<Ending> {
  return connectPeer(port).then((visitor) => visitor.ending, endingOfError);
}
