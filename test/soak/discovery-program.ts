import { setTimeout as sleep } from 'node:timers/promises';
import { type BackdialEvent, createAgent } from '../../src/index.ts';
import { startDnsServer } from '../support/dns-server.ts';
import { testDomain } from '../support/with-agent.ts';
import { startServer } from '../support/with-server.ts';

// In a network namespace whose only name server is this program, so that getaddrinfo asks it.
const NAME = 'many.test';
/** Longer than an answer counts at least, and than the system waits for a name server that is silent. */
const FOLLOWED_WITHIN_MS = 20_000;
const UNCHANGED_FOR_MS = 8_000;

const dns = await startDnsServer(53);
const { port } = await startServer();
for (const host of ['127.0.0.2', '::1']) await startServer({ listen: [{ host, port }] });
const records = { a: ['127.0.0.1'], aaaa: ['::1'], ttl: 1 } as NonNullable<ReturnType<typeof dns.names.get>>;
dns.names.set(NAME, records);
const live = new Map<string, string>();
const agent = createAgent({
  domains: [testDomain({ remote: [`${NAME}:${port}`], insecure: true })],
  observer: (event: BackdialEvent) => {
    if (event.type === 'tunnel-opened') live.set(event.tunnel.id, event.tunnel.remote.replace(/:\d+$/, ''));
    if (event.type === 'tunnel-closed') live.delete(event.tunnel.id);
  },
});
agent.start();

const addresses = (): string => [...live.values()].sort().join(' ');

/** The tunnels lead there in time; `stays`: and have led nowhere else meanwhile. */
async function expect(what: string, wanted: string, stays: boolean): Promise<void> {
  const began = performance.now();
  const limit = stays ? UNCHANGED_FOR_MS : FOLLOWED_WITHIN_MS;
  while (stays ? performance.now() - began < limit : addresses() !== wanted) {
    if (performance.now() - began > limit || (stays && addresses() !== wanted)) {
      console.error(`${what}: tunnels to ${addresses()}; expected ${wanted}`);
      process.exit(1);
    }
    await sleep(20);
  }
  told.push(
    stays ? `${what}: nothing changed` : `${what}: after ${((performance.now() - began) / 1_000).toFixed(1)} s`,
  );
}

const told: string[] = [];
await expect('two kinds', '127.0.0.1 [::1]', false);
records.a = ['127.0.0.1', '127.0.0.2'];
await expect('an address more', '127.0.0.1 127.0.0.2 [::1]', false);
records.aaaa = 'servfail';
await expect('SERVFAIL for AAAA', '127.0.0.1 127.0.0.2 [::1]', true);
records.a = 'servfail';
await expect('SERVFAIL for all', '127.0.0.1 127.0.0.2 [::1]', true);
records.a = 'silent';
records.aaaa = 'silent';
await expect('no answer at all', '127.0.0.1 127.0.0.2 [::1]', true);
records.a = ['127.0.0.2'];
records.aaaa = [];
await expect('two addresses less', '127.0.0.2', false);
records.a = 'nxdomain';
records.aaaa = 'nxdomain';
await expect('no such name', '', false);
records.a = ['127.0.0.1'];
await expect('the name again', '127.0.0.1', false);
console.log(told.join('; '));
process.exit(0);
