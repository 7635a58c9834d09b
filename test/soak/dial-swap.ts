import assert from 'node:assert/strict';
import { once } from 'node:events';
import { startEchoTarget } from '../support/echo-target.ts';
import { type Peer, withProxy } from '../support/proxy-kit.ts';
import { DOMAIN, openTunnel, type Tunnel } from '../support/with-tunnel.ts';
import { eventually, within } from '../support/within.ts';
import { type Soak, scaled } from './soak.ts';

const ROUNDS = 10_000;
/** Of these many there are as many pairs by CONNECT through the proxy. */
const PROXY_ROUNDS = 2_500;
const PORTS = { one: 1001, two: 1002 } as const;

export const dialSwapSoak: Soak = {
  name: 'dial-swap',
  about: `${ROUNDS} rounds of two dials at the same time to two ports of one instance, a third one cancelled: none is swapped, nothing is left`,
  async run({ scale }) {
    const rounds = scaled(ROUNDS, scale);
    const proxied = scaled(PROXY_ROUNDS, scale);
    await byLibrary(rounds);
    await byProxy(proxied);
    return `${rounds} pairs by server.dial(), ${proxied} by CONNECT, each answered by its own port; ${rounds} cancelled`;
  },
};

async function byLibrary(rounds: number): Promise<void> {
  const [one, two] = [await startEchoTarget('one'), await startEchoTarget('two')];
  const ports = { [PORTS.one]: one.address, [PORTS.two]: two.address };
  const tunnel = await openTunnel({ target: one.address, connections: 2, agentDomain: { ports } });
  try {
    let cancelled = 0;
    await round(tunnel, 0);
    await settled(tunnel);
    const before = handles();
    for (let index = 1; index < rounds; index += 1) cancelled += await round(tunnel, index);
    await settled(tunnel);
    await eventually('no handle is left', () => handles() <= before);
    assert.ok(cancelled > 0, 'no dial was cancelled in time');
  } finally {
    await tunnel.close();
    one.close();
    two.close();
  }
}

/** What the two say first, and say back, must be their own. How many of the third were cancelled before they were open. */
async function round({ server }: Tunnel, index: number): Promise<number> {
  const cancel = new AbortController();
  const third = server.dial(`first.${DOMAIN}:${PORTS.one}`, { signal: cancel.signal }).then(
    (stream) => {
      stream.destroy(new Error('enough'));
      return 0;
    },
    () => 1,
  );
  if (index % 2 === 0) cancel.abort();
  else setImmediate(() => cancel.abort());
  const dials = Object.entries(PORTS).map(async ([name, port]) => {
    const stream = await server.dial(`first.${DOMAIN}:${port}`);
    let heard = '';
    stream.on('data', (chunk: Buffer) => {
      heard += chunk;
    });
    stream.end(` ${name} ${index}`);
    await within('the end', once(stream, 'end'));
    assert.equal(heard, `${name} ${name} ${index}`);
  });
  await Promise.all(dials);
  return third;
}

async function settled({ server }: Tunnel): Promise<void> {
  const streams = () => server.tunnels().reduce((sum, live) => sum + live.stats().streams, 0);
  await eventually('no stream is left', () => streams() === 0);
}

function handles(): number {
  return process.getActiveResourcesInfo().filter((name) => /Socket|TCP|Timeout/.test(name)).length;
}

function byProxy(rounds: number): Promise<void> {
  return withProxy({}, async (kit) => {
    const visit = async (port: number, index: number): Promise<void> => {
      const peer: Peer = await kit.wire('proxy');
      peer.stream.end(`CONNECT one.www.test:${port} HTTP/1.1\r\nHost: one.www.test:${port}\r\n\r\n<${index}>`);
      const text = await within('the end', peer.ended());
      assert.equal(text.slice(text.indexOf('\r\n\r\n') + 4), `port ${port} <${index}>`);
      peer.raw.destroy();
    };
    for (let index = 0; index < rounds; index += 1) await Promise.all([visit(22, index), visit(23, index)]);
  });
}
