import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Secret } from '../../src/core/secret.ts';
import type { DomainOptions } from '../../src/server/options.ts';
import { clientProblems, resolveClients } from '../../src/server/resolve-clients.ts';
import { testAuthority } from '../support/certificates.ts';

const domain = (more: Partial<DomainOptions>): DomainOptions => ({ name: 'www.example.com', secrets: [], ...more });

describe('who may come, as options', () => {
  it('are everyone unless something is said, and the banner is the domain', () => {
    assert.deepEqual(resolveClients(domain({})), {
      networks: [],
      ranges: [],
      credentials: [],
      banner: 'www.example.com',
      certificates: null,
    });
    assert.deepEqual(clientProblems(domain({})), []);
  });

  it('are refused with every fault at once', () => {
    const password = new Secret('hunter2');
    const problems = clientProblems(
      domain({
        listen: [{ host: '127.0.0.1', port: 1 }],
        networks: [{ address: '10/8', prefix: 8 }],
        clients: {
          networks: [{ address: '10.0.0.0', prefix: 33 }],
          ranges: ['sat', 'noon'],
          credentials: ['', 'a:b', 'a\n', 'x'.repeat(129), 'fine'].map((login) => ({ login, password })),
          banner: 'a\r\nX-Evil: 1',
          certificates: 'no PEM',
        },
      }),
    );
    const expected = [
      /^`networks`: "10\/8" is no IP address$/,
      /^`clients.networks`: the prefix 33 is not 0 to 32$/,
      /^`clients.ranges`: unknown token "noon"; allowed/,
      ...Array.from({ length: 4 }, () => /^`clients.credentials`: a login has 1 to 128 bytes/),
      /^`clients.banner`: a banner has at most 200 characters of printable ASCII$/,
      /^`clients.certificates`: no PEM certificate$/,
      /^`clients.credentials` cannot be asked for on the TCP ports of `listen`$/,
      /^`clients.certificates` cannot be asked for on the TCP ports of `listen`$/,
    ];
    assert.equal(problems.length, expected.length, problems.join('\n'));
    for (const [index, pattern] of expected.entries()) assert.match(problems[index] ?? '', pattern);
    assert.ok(!problems.join().includes('hunter2'));
  });

  it('may ask for a certificate where no TCP port is', () => {
    const credentials = [{ login: 'a', password: new Secret('b') }];
    assert.deepEqual(clientProblems(domain({ clients: { certificates: testAuthority().cert, credentials } })), []);
  });
});
