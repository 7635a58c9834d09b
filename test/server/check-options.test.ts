import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Secret } from '../../src/core/secret.ts';
import { createServer } from '../../src/index.ts';
import { testCertificate } from '../support/certificates.ts';

const LISTEN = { host: '127.0.0.1', port: 0 };
const { cert, key } = testCertificate();
const CERTIFICATE = { hosts: ['*'], cert, key };
const DOMAIN = { name: 'www.test', secrets: [new Secret('a secret of some length')] };

/** As JavaScript calls it. */
function refusalOf(options: unknown): string {
  try {
    createServer(options as never);
  } catch (error) {
    assert.equal((error as { code?: unknown }).code, 'config-invalid', String(error));
    return (error as Error).message.replace('the configuration is invalid: ', '');
  }
  return 'none';
}

describe('options of a server that are not what the types say', () => {
  const domain = (more: object) => ({
    listen: [LISTEN],
    certificates: [CERTIFICATE],
    domains: [{ ...DOMAIN, ...more }],
  });
  const server = (more: object) => ({ ...domain({}), ...more });
  const cases: readonly (readonly [given: unknown, problem: RegExp])[] = [
    [undefined, /^the options: found nothing; wanted: an object$/],
    [{}, /^`listen` is missing; `certificates` is missing; `domains` is missing$/],
    [server({ lisen: [] }), /^`lisen` is no option; probably `listen`$/],
    [server({ colour: 1 }), /^`colour` is no option; there are: listen, sockets, /],
    [server({ listen: ['443'] }), /^`listen\[0\]`: found a string; wanted: \{ host, port \}, .* or \{ systemd \}$/],
    [server({ listen: [{ address: 443 }] }), /^`listen\[0\]\.address`: found a number; wanted: \{ host/],
    [server({ listen: LISTEN }), /^`listen`: found an object; wanted: a list$/],
    [server({ drainMs: '30s' }), /^`drainMs`: found a string; wanted: a number$/],
    // A timer would take it for 1 ms.
    [server({ drainMs: 2 ** 31, maxBodyBytes: 2 ** 31 }), /^`drainMs` must be 2147483647 or less$/],
    [server({ transaction: 1, observer: {} }), /^`transaction`: .* true or false; `observer`: .* a function$/],
    [server({ sni: '/run' }), /^`sni`: found a string; wanted: an object$/],
    [
      domain({ secrets: ['hunter2 in the clear'] }),
      /^`domains\[0\]\.secrets\[0\]`: found a string; wanted: a Secret: `new Secret/,
    ],
    [domain({ secrets: undefined }), /^`domains\[0\]\.secrets` is missing$/],
    [domain({ name: new Secret('x') }), /^`domains\[0\]\.name`: found a Secret; wanted: a string$/],
    [domain({ balance: 'fastest' }), /`domains\[0\]\.balance`: .* "round-robin" or "least-streams" or "random"$/],
    [
      domain({ clients: { networks: ['10.0.0.0/8'] } }),
      /^`domains\[0\]\.clients\.networks\[0\]`: found a string; wanted: an object$/,
    ],
    [
      domain({ target: null, proxyProtocol: 3 }),
      /^`domains\[0\]\.proxyProtocol`: found a number; wanted: 1 or 2 or null$/,
    ],
    [server({ name: 'a b' }), /^`name` must be a host name in canonical form$/],
    [domain({ name: 'WWW.test' }), /^WWW\.test: not a domain in canonical form$/],
  ];
  for (const [given, problem] of cases) {
    test(`are named: ${problem.source}`, () => {
      const refusal = refusalOf(given);
      assert.match(refusal, problem);
      assert.ok(!refusal.includes('hunter2'));
    });
  }

  test('are none where all is in order, also where a key is undefined', () => {
    assert.equal(refusalOf(server({ name: undefined, sni: null, sockets: { https: [3] } })), 'none');
  });
});
