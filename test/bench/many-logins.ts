import { readFileSync } from 'node:fs';
import * as https from 'node:https';
import { login } from './login.ts';

/**
 * A program of its own: 100 logins a second from one address, and one a second from each of 100, until it is sent a message;
 * then it answers with how often each status came. `network` (`127.x.y`) is where they come from; `credentials` is what they
 * log in with, `#` in it stands for the number of the attempt.
 */
const [port, caFile = '', network, credentials = ''] = process.argv.slice(2);
const ca = readFileSync(caFile, 'utf8');
const [one, ...others] = Array.from({ length: 101 }, (_, i) => {
  return new https.Agent({ keepAlive: true, localAddress: `${network}.${i + 1}`, maxSockets: 4 });
}) as [https.Agent, ...https.Agent[]];
const statuses = new Map<number, number>();
const asked = new Set<Promise<void>>();
let count = 0;

function attempt(agent: https.Agent): void {
  count += 1;
  const attempted = login(Number(port), agent, credentials.replace('#', String(count)), ca)
    .then((status) => void statuses.set(status, (statuses.get(status) ?? 0) + 1))
    .catch(() => {})
    .finally(() => asked.delete(attempted));
  asked.add(attempted);
}

const timer = setInterval(() => {
  attempt(one);
  attempt(others[(count >> 1) % others.length] as https.Agent);
}, 10);

process.once('message', async () => {
  clearInterval(timer);
  await Promise.all(asked);
  process.send?.([...statuses]);
  process.disconnect?.();
});
