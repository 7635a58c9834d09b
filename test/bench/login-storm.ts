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

const MANY_LOGINS = fileURLToPath(new URL('./many-logins.ts', import.meta.url));
const LAG_PROBE = fileURLToPath(new URL('./lag-probe.ts', import.meta.url));
/** Requests a second of those who know the password. */
const HONEST = 200;
/** Their login. */
const RIGHT = 'user:the right one';
/** Of what a storm should have sent, how much it must: less is none. */
const LEAST_SHARE = 0.8;

/** Wrong logins: 100 a second from one address, and one a second from each of 100; beside as many right ones. */
export const loginStorm: Bench = {
  name: 'login-storm',
  title: `${HONEST} requests a second with the right login, beside 200 wrong ones a second from 101 addresses`,
  tools: ['nginx', 'openssl', 'chrt'],
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
    const busy: number[] = [];
    const stormy: number[] = [];
    const lags: number[] = [];
    const least = seconds * 200 * LEAST_SHARE;
    for (let round = 0; round < rounds; round += 1) {
      calm.push(await honest(backdial, seconds));
      const others = startLogins(backdial.httpsPort, `127.2.${round}`, RIGHT);
      busy.push(await honest(backdial, seconds));
      const welcome = await others();
      if ((welcome.get(200) ?? 0) < least) throw new Error(`others were answered with ${described(welcome)}`);
      await lagOf(backdial);
      // From addresses of its own: those of a round before are known by now.
      const storm = startLogins(backdial.httpsPort, `127.1.${round}`, 'user:wrong #');
      stormy.push(await honest(backdial, seconds));
      const statuses = await storm();
      lags.push(await lagOf(backdial));
      // Each of the many may be wrong ten times for nothing, the one is not looked at after that.
      const [wrong = 0, limited = 0] = [statuses.get(401), statuses.get(429)];
      if (wrong < Math.min(least / 2, 800) || wrong + limited < least || statuses.size > 2) {
        throw new Error(`the storm was answered with ${described(statuses)}`);
      }
    }
    return [
      figure('calm', 'p99 of the right logins', 'ms', calm),
      figure('as many right ones', 'p99 of the right logins', 'ms', busy),
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
    const answered = login(httpsPort, agent, RIGHT, testAuthority().cert).then((status) => {
      if (status !== 200) throw new Error(`the right login was answered with ${status}`);
      times.push(performance.now() - sent);
    });
    asked.push(answered);
  }
  await Promise.all(asked);
  agent.destroy();
  return times.toSorted((a, b) => a - b)[Math.floor(times.length * 0.99)] ?? Number.NaN;
}

/**
 * Logins of others until the returned function is called, which tells how they were answered. Others have machines of their
 * own: here they have what is left of this one, and give it back at once.
 */
function startLogins(port: number, network: string, credentials: string): () => Promise<Map<number, number>> {
  const args = [MANY_LOGINS, String(port), testAuthority().certFile, network, credentials];
  const program = startProgram('logins', 'chrt', ['--idle', '0', process.execPath, ...args], { ipc: true });
  return async () => {
    const answer = once(program.child, 'message');
    program.child.send('end');
    const [statuses] = (await answer) as [[number, number][]];
    await program[Symbol.asyncDispose]();
    return new Map(statuses);
  };
}

function described(statuses: ReadonlyMap<number, number>): string {
  return Array.from(statuses, (pair) => pair.join(': ')).join(', ');
}

async function lagOf({ server }: Backdial): Promise<number> {
  const answer = once(server.child, 'message');
  server.child.send('lag');
  const [{ lagMs }] = (await answer) as [{ lagMs: number }];
  return lagMs;
}
