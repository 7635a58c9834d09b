import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import net, { type Socket } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { SocketAddress } from '../../src/core/address.ts';
import { BackdialError } from '../../src/core/errors.ts';
import { bindServer, type Listener, listenOn } from '../../src/net/listen.ts';
import { Inbox } from '../support/inbox.ts';
import { eventually, within } from '../support/within.ts';

const HAS_IPV6 = Object.values(networkInterfaces()).some((all) => all?.some(({ family }) => family === 'IPv6'));
const LOOPBACK = { host: '127.0.0.1', port: 0 };

async function start(t: TestContext, address: SocketAddress, onSocket = (socket: Socket) => void socket.end('hi')) {
  const listener = await listenOn(address, { onSocket });
  t.after(() => listener.stop());
  return listener;
}

function portOf(listener: Listener): number {
  assert.ok('port' in listener.address);
  return listener.address.port;
}

async function greeting(to: net.NetConnectOpts): Promise<string> {
  const socket = net.connect(to);
  socket.on('error', () => {});
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  await within('a greeting', once(socket, 'close'));
  return text;
}

function folder(t: TestContext): string {
  const made = mkdtempSync(join(tmpdir(), 'backdial-listen-'));
  t.after(() => rmSync(made, { recursive: true }));
  return made;
}

function listenFailed(message: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof BackdialError, String(error));
    assert.equal(error.code, 'listen-failed');
    assert.match(error.message, message);
    return true;
  };
}

describe('the file of a Unix socket', () => {
  test('has the mode and the owner that were asked for', async (t) => {
    const path = join(folder(t), 'door.sock');
    const [uid, gid] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0];
    // Only root may give a file away; others may give it to another group of theirs.
    const owner = uid === 0 ? { uid: 4_321, gid: 4_322 } : { uid: null, gid: process.getgroups?.().at(-1) ?? null };
    const listener = await listenOn({ path }, { onSocket: (socket) => void socket.end('hi'), mode: 0o620, owner });
    t.after(() => listener.stop());
    const made = statSync(path);
    assert.equal(made.mode & 0o777, 0o620);
    assert.deepEqual([made.uid, made.gid], [owner.uid ?? uid, owner.gid ?? gid]);
    assert.equal(await greeting({ path }), 'hi');
    listener.stop();
    assert.equal(existsSync(path), false);
  });
});

describe('a listener', () => {
  test('says which port the system chose', async (t) => {
    const listener = await start(t, LOOPBACK);
    assert.ok(portOf(listener) > 0);
    assert.equal(await greeting({ host: '127.0.0.1', port: portOf(listener) }), 'hi');
  });

  test('gives its port back at once when it stops, while what it accepted lives on', async (t) => {
    const sockets: Socket[] = [];
    const listener = await start(t, LOOPBACK, (socket) => void sockets.push(socket));
    const client = net.connect(portOf(listener), '127.0.0.1');
    client.on('error', () => {});
    await once(client, 'connect');
    await eventually('the accept', () => sockets.length > 0);
    let closed = false;
    const closing = listener.close().then(() => {
      closed = true;
    });
    await start(t, { host: '127.0.0.1', port: portOf(listener) });
    assert.equal(closed, false);
    sockets[0]?.write('still here');
    const [chunk] = (await within('bytes', once(client, 'data'))) as [Buffer];
    assert.equal(chunk.toString(), 'still here');
    sockets[0]?.destroy();
    await within('the end', closing);
    await listener.close();
  });

  test('on [::] leaves IPv4 to a listener of its own', { skip: !HAS_IPV6 }, async (t) => {
    const four = await start(t, { host: '0.0.0.0', port: 0 });
    await start(t, { host: '::', port: portOf(four) });
  });

  test('attaches an error listener before anybody has the socket', async (t) => {
    const listeners: number[] = [];
    const listener = await start(t, LOOPBACK, (socket) => {
      listeners.push(socket.listenerCount('error'));
      socket.end();
    });
    await greeting({ host: '127.0.0.1', port: portOf(listener) });
    assert.deepEqual(listeners, [1]);
  });

  test('survives a connection that could not be accepted', async (t) => {
    const server = net.createServer((socket) => void socket.end('hi'));
    const errors: string[] = [];
    const listener = await bindServer(server, LOOPBACK, { onAcceptError: (error) => errors.push(error.message) });
    t.after(() => listener.stop());
    server.emit('error', new Error('accept ECONNABORTED'));
    assert.deepEqual(errors, ['accept ECONNABORTED']);
    assert.equal(await greeting({ host: '127.0.0.1', port: portOf(listener) }), 'hi');
  });

  test('survives a process without file descriptors: connections are dropped until there are some again', async (t) => {
    // `ulimit` counts for a process, so this one runs in its own.
    const script = `
      const { listenOn } = await import('./src/net/listen.ts');
      const { openSync, closeSync } = await import('node:fs');
      const listener = await listenOn({ host: '127.0.0.1', port: 0 }, { onSocket: (socket) => socket.end('hi') });
      console.log('port', listener.address.port);
      const taken = [];
      process.stdin.on('data', (text) => {
        if (String(text).includes('take')) {
          try { for (;;) taken.push(openSync('/dev/null')); } catch (error) { console.log('taken', error.code); }
        } else {
          for (const fd of taken.splice(0)) closeSync(fd);
          console.log('given');
        }
      });`;
    const child = spawn('sh', ['-c', 'ulimit -n 64; exec "$0" --input-type=module -e "$1"', process.execPath, script]);
    t.after(() => child.kill('SIGKILL'));
    const output = new Inbox(child.stdout);
    const port = Number(/port (\d+)/.exec(await output.receivedText('\n'))?.[1]);
    child.stdin.write('take\n');
    await output.receivedText('taken EMFILE');
    assert.equal(await greeting({ host: '127.0.0.1', port }), '');
    child.stdin.write('give\n');
    await output.receivedText('given');
    assert.equal(await greeting({ host: '127.0.0.1', port }), 'hi');
  });
});

describe('an address that cannot be listened on', () => {
  test('because it is in use is named with what to do', async (t) => {
    const port = portOf(await start(t, LOOPBACK));
    const again = listenOn({ host: '127.0.0.1', port }, { onSocket() {} });
    await assert.rejects(
      again,
      listenFailed(new RegExp(`127\\.0\\.0\\.1:${port}: another process listens there.*EADDRINUSE`)),
    );
  });

  test('because it is none of this machine, or no name, is named too', async () => {
    const foreign = listenOn({ host: '203.0.113.1', port: 0 }, { onSocket() {} });
    await assert.rejects(foreign, listenFailed(/203\.0\.113\.1:0: this machine has no such address/));
    const unknown = listenOn({ host: 'no-such-host.invalid', port: 80 }, { onSocket() {} });
    await assert.rejects(unknown, listenFailed(/no-such-host\.invalid:80: the name cannot be resolved/));
  });

  test('because the Unix path has no folder or is too long is named too', async (t) => {
    const missing = listenOn({ path: join(folder(t), 'no', 'socket') }, { onSocket() {} });
    await assert.rejects(missing, listenFailed(/unix:.*: the folder of the Unix socket does not exist; make it/));
    const long = listenOn({ path: `/tmp/${'x'.repeat(110)}` }, { onSocket() {} });
    await assert.rejects(long, listenFailed(/at most 107 bytes/));
  });
});

describe('a Unix socket', () => {
  test('is listened on and removed with its listener', async (t) => {
    const path = join(folder(t), 's');
    const listener = await start(t, { path });
    assert.deepEqual(listener.address, { path });
    assert.equal(await greeting({ path }), 'hi');
    await listener.close();
    assert.equal(existsSync(path), false);
  });

  test('that a dead process left behind is replaced', async (t) => {
    const path = join(folder(t), 's');
    const script = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
    await once(spawn(process.execPath, ['-e', script]), 'exit');
    assert.equal(existsSync(path), true);
    await start(t, { path });
    assert.equal(await greeting({ path }), 'hi');
  });

  test('that somebody answers on is left alone', async (t) => {
    const path = join(folder(t), 's');
    await start(t, { path });
    await assert.rejects(listenOn({ path }, { onSocket() {} }), listenFailed(/another process listens there/));
    assert.equal(await greeting({ path }), 'hi');
  });

  test('never replaces a file that is no socket', async (t) => {
    const path = join(folder(t), 's');
    writeFileSync(path, 'mine');
    await assert.rejects(listenOn({ path }, { onSocket() {} }), listenFailed(/no socket is in the way/));
    assert.equal(existsSync(path), true);
  });
});
