import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { Duplex } from 'node:stream';
import test from 'node:test';
import type { TLSSocket } from 'node:tls';
import { Secret } from '../../src/core/secret.ts';
import { TunnelRegistry } from '../../src/registry/registry.ts';
import { DomainTable } from '../../src/server/domain-table.ts';
import { FailureLimiter } from '../../src/server/failure-limiter.ts';
import { TunnelGate } from '../../src/server/gate.ts';
import { resolveServerOptions } from '../../src/server/resolve-options.ts';
import { AccessControl } from '../../src/server/visitor-access.ts';
import { MemoryBudget } from '../../src/tunnel/memory-budget.ts';
import { SERVER_LIVENESS } from '../../src/tunnel/types.ts';
import { testCertificate } from '../support/certificates.ts';

test('a handshake that is judged when the server begins to drain leaves no tunnel behind', async () => {
  const { cert, key } = testCertificate();
  const options = resolveServerOptions({
    listen: [{ host: '127.0.0.1', port: 0 }],
    certificates: [{ hosts: ['*'], cert, key }],
    domains: [{ name: 'www.test', secrets: [new Secret('a secret of enough bytes')] }],
  });
  const table = new DomainTable(options.domains);
  const checked = Promise.withResolvers<boolean>();
  const secrets = { check: () => checked.promise };
  const registry = new TunnelRegistry();
  const gate = new TunnelGate({
    options,
    domains: () => table,
    registry,
    secrets,
    access: new AccessControl({ secrets, limiter: new FailureLimiter() }),
    liveness: SERVER_LIVENESS,
    budget: new MemoryBudget(options),
  });
  const request = {
    method: 'GET',
    headers: { upgrade: 'ptth' },
    headersDistinct: { authorization: ['Bearer a secret of enough bytes'], 'backdial-domain': ['www.test'] },
  } as unknown as IncomingMessage;
  const written: string[] = [];
  const socket = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, callback) {
      written.push(chunk.toString());
      callback();
    },
  });
  const admitted = gate.admit(request, socket as unknown as TLSSocket, Buffer.alloc(0), '127.0.0.1:1');
  await gate.drain(10_000);
  checked.resolve(true);
  assert.equal(await admitted, true, 'it is not told that it was refused');
  assert.ok(socket.destroyed);
  assert.deepEqual(written, []);
  assert.equal([...registry.tunnels()].length, 0);
});
