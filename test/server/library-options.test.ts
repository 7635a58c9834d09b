import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createServer, Secret } from '../../src/index.ts';
import { createLibraryWays } from '../../src/server/library-ways.ts';
import { testCertificate } from '../support/certificates.ts';

const { cert, key } = testCertificate();
const server = createServer({
  listen: [{ host: '127.0.0.1', port: 0 }],
  certificates: [{ hosts: ['*'], cert, key }],
  domains: [{ name: 'www.test', secrets: [new Secret('a secret of some length')] }],
});

/** What is said of options, by whatever takes them; as JavaScript calls it. */
const refusals = {
  dial: async (options: unknown) => String(await server.dial('www.test', options as never).catch((error) => error)),
  httpAgent: (options: unknown) => thrownBy(() => server.httpAgent(options as never).destroy()),
  dispatcher: (options: unknown) => thrownBy(() => void server.dispatcher(options as never).close()),
};

function thrownBy(call: () => void): string {
  try {
    call();
    return 'nothing';
  } catch (error) {
    return String(error);
  }
}

describe('options of the ways in of the library', () => {
  const invalid = 'BackdialError: the configuration is invalid: ';
  const both = ['httpAgent', 'dispatcher'] as const;
  const all = ['dial', ...both] as const;
  const cases: readonly (readonly [of: readonly (keyof typeof refusals)[], given: unknown, problem: string])[] = [
    [all, null, 'the options: found null; wanted: an object'],
    [all, 5_000, 'the options: found a number; wanted: an object'],
    [all, { waitms: 1 }, '`waitms` is no option; probably `waitMs`'],
    [all, { waitMs: '1s' }, '`waitMs`: found a string; wanted: a whole number from 0 to 2147483647'],
    [all, { waitMs: 2 ** 31 }, '`waitMs`: found a number; wanted: a whole number from 0 to 2147483647'],
    [all, { waitMs: -1 }, '`waitMs`: found a number; wanted: a whole number from 0 to 2147483647'],
    [both, { connections: 0 }, '`connections`: found a number; wanted: a whole number from 1 to 2147483647'],
    [both, { idleTimeoutMs: 0.5 }, '`idleTimeoutMs`: found a number; wanted: a whole number from 1 to 2147483647'],
    [['dial'], { signal: 1, way: 'x' }, '`signal`: found a number; wanted: an AbortSignal; `way`: found a string;'],
    [
      ['dial'],
      { signal: {}, client: 1 },
      '`signal`: found an object; wanted: an AbortSignal; `client`: found a number;',
    ],
  ];
  for (const [ways, given, problem] of cases) {
    for (const way of ways) {
      test(`of ${way}() are named: ${problem}`, async () => {
        const refusal = await refusals[way](given);
        assert.ok(refusal.startsWith(`${invalid}${problem}`), refusal);
      });
    }
  }

  test('are the defaults where they are undefined, and nobody serves the name', async () => {
    const given = { waitMs: undefined, connections: undefined, idleTimeoutMs: undefined };
    assert.equal(server.httpAgent(given as never).maxSockets, 256);
    assert.equal(refusals.dispatcher(given), 'nothing');
    const dialled = await refusals.dial({ waitMs: undefined, transaction: undefined, signal: undefined });
    assert.match(dialled, /^BackdialError: no agent serves the domain now/);
  });

  test('a stream has a transaction of its own, also where that is undefined', async () => {
    const told: unknown[] = [];
    const open = async (_name: string, { transaction }: { transaction: string }) => {
      told.push(transaction);
      return assert.fail();
    };
    const ways = createLibraryWays({ open, openWhenServed: open });
    for (const transaction of [undefined, 'mine'])
      await ways.dial('www.test', { transaction } as never).catch(() => {});
    assert.match(String(told[0]), /^[0-9a-f]{8}-/);
    assert.equal(told[1], 'mine');
  });

  for (const port of ['0', '65536', '700000']) {
    test(`a name with port ${port} is refused for the port`, async () => {
      const message = new RegExp(`the port of www\\.test:${port} is not 1 to 65535`);
      await assert.rejects(server.dial(`www.test:${port}`), { code: 'name-invalid', message });
    });
  }

  test('a name that is no string is none', async () => {
    await assert.rejects(server.dial(null as never), { code: 'name-invalid', message: /is a string/ });
  });
});
