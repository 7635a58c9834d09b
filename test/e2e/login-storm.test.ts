import assert from 'node:assert/strict';
import * as https from 'node:https';
import { test } from 'node:test';
import { hashSecret } from '../../src/server/sha512-crypt.ts';
import { withAccess } from '../support/access.ts';
import { testAuthority } from '../support/certificates.ts';
import { within } from '../support/within.ts';

const DOMAIN = 'login.example.com';
const RIGHT = 'user:the right one';

/** A visitor at an address of its own, with kept connections. Tells status and, where it was asked for, when to come again. */
function visitorAt(localAddress: string, port: number) {
  const agent = new https.Agent({ keepAlive: true, localAddress, ca: testAuthority().cert });
  const login = (credentials: string): Promise<[status: number, retryAfter: string | undefined]> => {
    const headers = { authorization: `Basic ${Buffer.from(credentials).toString('base64')}` };
    const options = { host: '127.0.0.1', port, agent, headers: { ...headers, host: DOMAIN }, servername: DOMAIN };
    const answer = new Promise<[number, string | undefined]>((resolve, reject) => {
      const request = https.get(options, (response) => {
        response.resume();
        response.on('end', () => resolve([response.statusCode ?? 0, response.headers['retry-after']]));
      });
      request.on('error', reject);
    });
    return within('an answer', answer);
  };
  return { login, close: () => agent.destroy() };
}

// The short form of the bench `login-storm`.
test('a storm of wrong logins, from one address and from many, holds up nobody who is logged in, and locks no newcomer out', async () => {
  const hash = hashSecret('the right one', { rounds: 10_000 });
  const domains = { [DOMAIN]: `clients: { credentials: ${JSON.stringify(`user:${hash}`)} }` };
  await withAccess({ domains }, async ({ port, seen }) => {
    const honest = visitorAt('127.0.0.1', port);
    const newcomer = visitorAt('127.0.0.2', port);
    const one = visitorAt('127.0.1.1', port);
    const many = Array.from({ length: 15 }, (_, i) => visitorAt(`127.0.2.${i + 1}`, port));
    try {
      assert.equal((await honest.login(RIGHT))[0], 200);
      const attempts = [
        ...Array.from({ length: 25 }, (_, i) => one.login(`user:wrong ${i}`)),
        ...many.map(({ login }, i) => login(`${i % 2 === 0 ? 'user' : 'nobody'}:guess ${i}`)),
      ];
      let waiting = attempts.length;
      const storm = Promise.all(attempts.map((attempt) => attempt.finally(() => (waiting -= 1))));
      const first = newcomer.login(RIGHT);
      const waitingAfter: number[] = [];
      while (waiting > 0) {
        assert.equal((await honest.login(RIGHT))[0], 200);
        waitingAfter.push(waiting);
      }
      const answers = await storm;
      const served = waitingAfter.length;
      // Of 25 secrets to be checked, one after the other, on any machine: who is logged in does not wait behind them.
      assert.ok((waitingAfter[0] ?? 0) > attempts.length / 2, `${waitingAfter}`);
      assert.equal((await first)[0], 200);
      assert.equal(answers.filter(([status]) => status === 401).length, 10 + many.length);
      const limited = answers.filter(([status]) => status === 429);
      assert.equal(limited.length, 15);
      for (const [, retryAfter] of limited) assert.match(retryAfter ?? '', /^[1-6]$/);
      assert.equal(seen.length, served + 2, 'nothing else reached the target');
    } finally {
      for (const visitor of [honest, newcomer, one, ...many]) visitor.close();
    }
  });
});
