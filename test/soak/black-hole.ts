import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { createServer, Secret } from '../../src/index.ts';
import { issueCertificate, testAuthority } from '../support/certificates.ts';
import { EventLog } from '../support/event-log.ts';
import { connectPeer } from '../support/raw-target.ts';
import { runTool } from '../support/real-program.ts';
import { findTool, lookForTool } from '../support/tools.ts';
import { DOMAIN, SECRET } from '../support/with-tunnel.ts';
import { within } from '../support/within.ts';
import { type Soak, scaled } from './soak.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const ROUNDS = 5;
/** What the design promises: 5 s until a PING, 5 s until it counts as unanswered. */
const KNOWN_WITHIN_MS = 10_000;
const SERVER_ADDRESS = '10.213.77.1';
/** In the namespace, where no other port is taken. */
const TARGET_PORT = 9_000;
const AGENT_ADDRESS = '10.213.77.2';

export const blackHoleSoak: Soak = {
  name: 'black-hole',
  about: 'nftables drops every packet of an agent in a network namespace: server and agent know within 10 s',
  async run({ scale }) {
    if (process.getuid?.() !== 0 || lookForTool('ip') === null || lookForTool('nft') === null) {
      return 'NOT RUN: needs root, `ip` and `nft`; the faulty link shows the same in test/e2e/black-hole.test.ts';
    }
    const namespace = `backdial-${process.pid}`;
    const events = new EventLog();
    try {
      await makeNamespace(namespace);
      const { cert, key } = issueCertificate([`IP:${SERVER_ADDRESS}`]);
      const server = createServer({
        listen: [{ host: SERVER_ADDRESS, port: 0 }],
        certificates: [{ hosts: ['*'], cert, key }],
        domains: [{ name: DOMAIN, secrets: [new Secret(SECRET)], listen: [{ host: '127.0.0.1', port: 0 }] }],
        observer: events.observer,
      });
      const { frontDoor, tcp } = await server.listen();
      const times: number[] = [];
      const agent = startAgent(namespace, portOf(frontDoor[0]));
      try {
        for (let round = 0; round < scaled(ROUNDS, scale); round += 1) {
          const from = events.all.length;
          if (round === 0) await events.wait('tunnel-opened', undefined, { deadlineMs: 20_000 });
          const visitor = await connectPeer(portOf(tcp[0]?.address));
          const saidBefore = agent.silences();
          await nft(namespace, 'add table inet hole');
          for (const hook of ['input', 'output']) {
            await nft(namespace, `add chain inet hole ${hook} { type filter hook ${hook} priority 0 ; policy drop ; }`);
          }
          const droppedAt = performance.now();
          await events.wait('tunnel-closed', ({ reason }) => reason === 'silent', {
            from,
            deadlineMs: KNOWN_WITHIN_MS,
          });
          assert.equal((await within('the end of a stream', visitor.ending, 500)).verdict, 'reset');
          await agent.untilSilences(saidBefore + 1, KNOWN_WITHIN_MS - (performance.now() - droppedAt));
          times.push(performance.now() - droppedAt);
          const healedFrom = events.all.length;
          await nft(namespace, 'delete table inet hole');
          await events.wait('tunnel-opened', undefined, { from: healedFrom, deadlineMs: 40_000 });
        }
      } finally {
        await agent.stop();
        await server.close({ drainMs: 0 });
      }
      return `known on both sides after ${times.map((time) => `${(time / 1_000).toFixed(1)} s`).join(', ')}`;
    } finally {
      await runTool('ip', ['netns', 'delete', namespace]);
    }
  },
};

async function makeNamespace(name: string): Promise<void> {
  const [outside, inside] = [`bd${process.pid}o`, `bd${process.pid}i`];
  const within = (...args: string[]) => ip('netns', 'exec', name, findTool('ip'), ...args);
  await ip('netns', 'add', name);
  await ip('link', 'add', outside, 'type', 'veth', 'peer', 'name', inside, 'netns', name);
  await ip('address', 'add', `${SERVER_ADDRESS}/30`, 'dev', outside);
  await ip('link', 'set', outside, 'up');
  await within('address', 'add', `${AGENT_ADDRESS}/30`, 'dev', inside);
  await within('link', 'set', inside, 'up');
  await within('link', 'set', 'lo', 'up');
}

async function ip(...args: string[]): Promise<void> {
  const { code, stderr } = await runTool('ip', args);
  assert.equal(code, 0, `ip ${args.join(' ')}: ${stderr}`);
}

async function nft(namespace: string, command: string): Promise<void> {
  await ip('netns', 'exec', namespace, findTool('nft'), command);
}

interface RunningAgent {
  /** How many tunnels the agent has given up because their server was silent. */
  silences(): number;
  untilSilences(count: number, deadlineMs: number): Promise<void>;
  stop(): Promise<void>;
}

/** A target that accepts and says nothing. */
const SILENT_TARGET = `require('node:net').createServer((socket) => socket.on('error', () => {})).listen(${TARGET_PORT}, '127.0.0.1')`;

/** A quick agent in the namespace, and its target. */
function startAgent(namespace: string, port: number): RunningAgent {
  const program = [process.execPath, MAIN, 'tcp', `127.0.0.1:${TARGET_PORT}`, '--server', `${SERVER_ADDRESS}:${port}`];
  const flags = ['--domain', DOMAIN, '--ca', testAuthority().certFile, '--instance', 'hole'];
  const child = spawn(findTool('ip'), ['netns', 'exec', namespace, ...program, ...flags], {
    env: { ...process.env, BACKDIAL_SECRET: SECRET },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const target = spawn(findTool('ip'), ['netns', 'exec', namespace, process.execPath, '-e', SILENT_TARGET]);
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  const silences = () => text.split('"reason":"silent"').length - 1;
  const ended = once(child, 'exit');
  return {
    silences,
    async untilSilences(count, deadlineMs) {
      const given = AbortSignal.timeout(Math.max(1, Math.ceil(deadlineMs)));
      while (silences() < count) {
        if (given.aborted) throw new Error(`the agent did not know in time:\n${text}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
    async stop() {
      child.kill('SIGKILL');
      target.kill('SIGKILL');
      await ended;
    },
  };
}

function portOf(address: { port: number } | { path: string } | undefined): number {
  if (address === undefined || !('port' in address)) throw new Error('not listening on a TCP port');
  return address.port;
}
