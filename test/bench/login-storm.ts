import { once } from 'node:events';
import * as https from 'node:https';
import { fileURLToPath } from 'node:url';
import { hashSecret } from '../../src/server/sha512-crypt.ts';
import { testAuthority } from '../support/certificates.ts';
import { type Backdial, startBackdial } from './backdial.ts';
import { type Bench, figure } from './bench.ts';
import { ratios } from './compare-loads.ts';
import { login } from './login.ts';
import { startTarget } from './nginx.ts';
import { startProgram } from './program.ts';

const WRONG_LOGINS = fileURLToPath(new URL('./wrong-logins.ts', import.meta.url));
const LAG_PROBE = fileURLToPath(new URL('./lag-probe.ts', import.meta.url));
/** Requests a second of those who know the password. */
const HONEST = 200;

/** Wrong logins: 100 a second from one address, and one a second from each of 100. */
export const loginStorm: Bench = {
  name: 'login-storm',
  title: `${HONEST} requests a second with the right login, beside 200 wrong ones a second from 101 addresses`,
  tools: ['nginx', 'openssl'],
  async run({ rounds, seconds }) {
    await using target = await startTarget();
    await using backdial = await startBackdial({
      targetPort: target.port,
      domainKeys: { listen: [], clients: { credentials: `user:${hashSecret('the right one', { rounds: 5_000 })}` } },
      serverProbe: LAG_PROBE,
    });
    // Hashed once, remembered from then on.
    await honest(backdial, 1);
    const calm: number[] = [];
    const stormy: number[] = [];
    const lags: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      calm.push(await honest(backdial, seconds));
      await lagOf(backdial);
      const storm = startStorm(backdial.httpsPort);
      stormy.push(await honest(backdial, seconds));
      const statuses = await storm();
      lags.push(await lagOf(backdial));
      if ((statuses.get(401) ?? 0) === 0 || (statuses.get(429) ?? 0) === 0 || (statuses.get(200) ?? 0) > 0) {
        throw new Error(`the storm was answered with ${[...statuses].map((pair) => pair.join(': ')).join(', ')}`);
      }
    }
    return [
      figure('calm', 'p99 of the right logins', 'ms', calm),
      figure('storm', 'p99 of the right logins', 'ms', stormy),
      figure('storm / calm', 'p99 of the right logins', 'x', ratios(stormy, calm), { atMost: 2 }),
      figure('storm', 'delay of the event loop, p99', 'ms', lags, { atMost: 50 }),
    ];
  },
};

/** Steady requests with the right login, on kept connections; the 99th percentile of their times, ms. */
async function honest({ httpsPort }: Backdial, seconds: number): Promise<number> {
  const agent = new https.Agent({ keepAlive: true, localAddress: '127.0.0.1', maxSockets: 32 });
  const times: number[] = [];
  const asked: Promise<void>[] = [];
  const start = performance.now();
  for (let i = 0; i < seconds * HONEST; i += 1) {
    const wait = start + (i * 1_000) / HONEST - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    const sent = performance.now();
    const answered = login(httpsPort, agent, 'user:the right one', testAuthority().cert).then((status) => {
      if (status !== 200) throw new Error(`the right login was answered with ${status}`);
      times.push(performance.now() - sent);
    });
    asked.push(answered);
  }
  await Promise.all(asked);
  agent.destroy();
  return times.toSorted((a, b) => a - b)[Math.floor(times.length * 0.99)] ?? Number.NaN;
}

/** Wrong logins until the returned function is called, which tells how they were answered. */
function startStorm(port: number): () => Promise<Map<number, number>> {
  const args = [WRONG_LOGINS, String(port), testAuthority().certFile];
  const program = startProgram('wrong logins', process.execPath, args, { ipc: true });
  return async () => {
    const answer = once(program.child, 'message');
    program.child.send('end');
    const [statuses] = (await answer) as [[number, number][]];
    await program[Symbol.asyncDispose]();
    return new Map(statuses);
  };
}

async function lagOf({ server }: Backdial): Promise<number> {
  const answer = once(server.child, 'message');
  server.child.send('lag');
  const [{ lagMs }] = (await answer) as [{ lagMs: number }];
  return lagMs;
}
