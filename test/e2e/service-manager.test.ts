import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { startCli } from '../support/run-cli.ts';
import { findTool, missingTools } from '../support/tools.ts';
import { withFolder } from '../support/with-folder.ts';
import { eventually } from '../support/within.ts';

const SECRET = 'the-secret-of-these-tests';
const FILES = {
  'server.json5': '{ listen: "127.0.0.1:0" }',
  'agent/agent.json5': '{}',
  'agent/domains/www.example.com.json5': `{ active: true, secret: "${SECRET}", remote: "127.0.0.1:1", targets: { target: 1 } }`,
  'domains/www.example.com.json5': `{ active: true, secret: "${SECRET}" }`,
};

/** Prints what datagrams hold. It takes no descriptors, so that `systemd-notify` knows at once that a message was read. */
const RECEIVER = `
  use IO::Socket::UNIX; $| = 1;
  my $socket = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $ARGV[0]) or die $!;
  while (defined $socket->recv(my $text, 65536)) { print $text }`;

/** A stand-in for systemd: what was sent to its datagram socket, one text. */
class Manager {
  readonly path: string;
  received = '';
  readonly #receiver: ChildProcess;

  constructor(folder: string) {
    this.path = `${folder}/notify`;
    this.#receiver = spawn(findTool('perl'), ['-e', RECEIVER, this.path]);
    this.#receiver.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.received += text.replaceAll('BARRIER=1', '');
    });
  }

  async see(pattern: RegExp): Promise<void> {
    await eventually(`${pattern} in ${JSON.stringify(this.received)}`, () => pattern.test(this.received));
  }

  close(): void {
    this.#receiver.kill('SIGKILL');
  }
}

async function withManager(body: (manager: Manager, folder: string) => Promise<void>): Promise<void> {
  await withFolder(FILES, async (folder) => {
    const manager = new Manager(folder);
    try {
      await eventually('the socket', () => existsSync(manager.path));
      await body(manager, folder);
    } finally {
      manager.close();
    }
  });
}

const skip = missingTools('perl', 'systemd-notify');

describe('under a service manager', () => {
  it('a server says READY, RELOADING around SIGHUP, WATCHDOG all along, and STOPPING', { skip }, async () => {
    await withManager(async (manager, folder) => {
      const env = { NOTIFY_SOCKET: manager.path, WATCHDOG_USEC: '400000' };
      const server = startCli(['server', '-c', `${folder}/server.json5`], { env });
      try {
        await manager.see(/^(?:WATCHDOG=1)*READY=1\nSTATUS=serving/);
        await manager.see(/WATCHDOG=1(?:WATCHDOG=1)+/);
        server.child.kill('SIGHUP');
        await manager.see(/RELOADING=1\nMONOTONIC_USEC=\d{6,}\nSTATUS=reloading(?:WATCHDOG=1)*READY=1/);
        const [, told = ''] = /MONOTONIC_USEC=(\d+)/.exec(manager.received) ?? [];
        assert.ok(Math.abs(Number(process.hrtime.bigint() / 1_000n) - Number(told)) < 60_000_000);
        const before = manager.received.length;
        writeFileSync(`${folder}/server.json5`, '{ listen: ');
        server.child.kill('SIGHUP');
        await eventually('READY behind a reload that failed', () =>
          /RELOADING=1[^R]*READY=1/.test(manager.received.slice(before).replaceAll('WATCHDOG=1', '')),
        );
        server.child.kill('SIGTERM');
        await manager.see(/STOPPING=1\nSTATUS=draining/);
        assert.equal((await server.end()).code, 0);
      } finally {
        server.child.kill('SIGKILL');
      }
    });
  });

  it('an agent is READY while its server is away, and beats for its own process only', { skip }, async () => {
    await withManager(async (manager, folder) => {
      const env = { NOTIFY_SOCKET: manager.path, WATCHDOG_USEC: '100000', WATCHDOG_PID: '1' };
      const agent = startCli(['agent', '-c', `${folder}/agent/agent.json5`], { env });
      try {
        await manager.see(/READY=1/);
        agent.child.kill('SIGTERM');
        await manager.see(/STOPPING=1/);
        assert.equal((await agent.end()).code, 0);
        assert.doesNotMatch(manager.received, /WATCHDOG/);
      } finally {
        agent.child.kill('SIGKILL');
      }
    });
  });

  it('a program that ends at once says so all the same, behind what is still being said', async () => {
    await withFolder(FILES, async (folder) => {
      const endsAtOnce = async (kind: string, file: string): Promise<void> => {
        const tools = `${folder}/${kind}-tools`;
        mkdirSync(tools);
        const told = `${tools}/told`;
        writeFileSync(`${tools}/systemd-notify`, `#!/bin/sh\necho "$*" >> ${told}; sleep 0.5\n`, { mode: 0o755 });
        const env = { NOTIFY_SOCKET: `${folder}/none`, PATH: `${tools}:${process.env.PATH}` };
        const program = startCli([kind, '-c', `${folder}/${file}`], { env });
        await eventually('READY=1', () => existsSync(told));
        assert.equal((await program.end('SIGTERM')).code, 0);
        assert.equal(readFileSync(told, 'utf8'), 'READY=1 STATUS=serving\nSTOPPING=1 STATUS=draining\n');
      };
      await Promise.all([endsAtOnce('agent', 'agent/agent.json5'), endsAtOnce('server', 'server.json5')]);
    });
  });

  it('nothing is harmed by a manager that is not there, or a systemd-notify that is missing', async () => {
    await withFolder(FILES, async (folder) => {
      for (const env of [{ NOTIFY_SOCKET: `${folder}/none` }, { NOTIFY_SOCKET: `${folder}/none`, PATH: folder }]) {
        const server = startCli(['server', '-c', `${folder}/server.json5`], { env });
        await server.see(/ready; active domains: 1/);
        const { code, stderr } = await server.end('SIGTERM');
        assert.deepEqual([code, stderr], [0, '']);
      }
    });
  });
});
