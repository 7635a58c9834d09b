import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import { describe, it } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { requestUpgrade } from '../../src/tunnel/agent-handshake.ts';
import { within } from '../support/within.ts';

const REQUEST = {
  host: 'server.test',
  service: '/.well-known/backdial-agent',
  authorization: 'Bearer a secret of enough bytes',
  domain: 'www.test',
  instance: 'one',
  slot: 0,
  streamPerVisitor: false,
  version: '0',
};
const ANSWER = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ptth\r\n\r\nthe preface';

/** A connection on which the answer is read before the write of the request is reported, as happens with many at once. */
class HastyConnection extends Duplex {
  written: (() => void) | null = null;

  override _write(_chunk: Buffer, _encoding: string, callback: () => void): void {
    this.written = callback;
    this.push(ANSWER);
  }

  override _read(): void {}
}

describe('a server that answers before the request is known to be written', () => {
  it('is not spoken to over HTTP/2 until it is: that would abort the process', async () => {
    const connection = new HastyConnection();
    let settled = false;
    const upgraded = requestUpgrade(connection as unknown as TLSSocket, REQUEST, { timeoutMs: 60_000 }).then(() => {
      settled = true;
    });
    for (let i = 0; i < 20; i += 1) await new Promise((resolve) => setImmediate(resolve));
    assert.ok(connection.written !== null);
    assert.equal(settled, false);
    connection.written();
    await within('the upgrade', upgraded);
    assert.equal(String(connection.read()), 'the preface');
  });

  it('is lost when the connection closes meanwhile', async () => {
    const connection = new HastyConnection();
    const upgraded = requestUpgrade(connection as unknown as TLSSocket, REQUEST, { timeoutMs: 60_000 });
    setImmediate(() => setImmediate(() => connection.destroy()));
    await assert.rejects(within('the end', upgraded), { code: 'server-unreachable' });
  });
});
