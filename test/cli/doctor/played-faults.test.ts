import assert from 'node:assert/strict';
import dns from 'node:dns/promises';
import { once } from 'node:events';
import https from 'node:https';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { examine } from '../../../src/cli/doctor/examine.ts';
import { type Finding, STEP_TIMEOUT_MS } from '../../../src/cli/doctor/findings.ts';
import { subjectOfFlags } from '../../../src/cli/doctor/subject.ts';
import { pinOf } from '../../../src/net/pin.ts';
import { testCertificate } from '../../support/certificates.ts';
import { datedCertificate } from '../../support/dated-certificate.ts';
import { closerOf, listenOn } from '../../support/listen-on.ts';

/** To a multicast address no TCP connection is possible: the system has no route for it, wherever this runs. */
const NO_ROUTE = '224.0.0.1';

function diagnose(server: string, pin = pinOf(testCertificate().cert)): Promise<Finding[]> {
  return examine(subjectOfFlags({ server, pin }, {}), {});
}

/** Exactly one step failed so, and this is to be done about it. */
function assertFault(findings: readonly Finding[], step: string, message: RegExp, advice: RegExp): void {
  const failed = findings.filter(({ result }) => result === 'failed');
  assert.deepEqual(
    failed.map((each) => each.step),
    [step],
    JSON.stringify(findings, null, 2),
  );
  assert.match(failed[0]?.message ?? '', message);
  assert.match(failed[0]?.advice ?? '', advice);
}

/** What the resolver says of every name. */
function playResolver(t: TestContext, answer: () => Promise<readonly string[]>): void {
  t.mock.method(dns, 'lookup', async () => (await answer()).map((address) => ({ address, family: 4 })));
  syncBuiltinESMExports();
  t.after(() => {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  });
}

async function listen(t: TestContext, server: net.Server): Promise<number> {
  t.after(closerOf(server));
  return listenOn(server);
}

describe('backdial doctor', () => {
  it('tells a resolver that does not answer from a name that is not there', async (t) => {
    playResolver(t, () => Promise.reject(Object.assign(new Error('getaddrinfo'), { code: 'EAI_AGAIN' })));
    const findings = await diagnose('vps.test:443');
    assertFault(findings, 'name', /^vps\.test cannot be resolved \(EAI_AGAIN\)$/, /^the resolver .* did not answer/);
  });

  it('does not mind an address without a route where another one is reached, and does where none is', async (t) => {
    const { cert, key } = testCertificate();
    const server = https.createServer({ cert, key }, (_request, response) => response.writeHead(404).end());
    const port = await listen(t, server);
    playResolver(t, () => Promise.resolve([NO_ROUTE, '127.0.0.1']));
    const findings = await diagnose(`vps.test:${port}`);
    const atNone = findings.filter(({ place }) => place.endsWith(` at ${NO_ROUTE}:${port}`));
    assert.deepEqual(
      atNone.map(({ step, result }) => [step, result]),
      [['tcp', 'warning']],
      JSON.stringify(findings, null, 2),
    );
    assert.match(atNone[0]?.message ?? '', /ENETUNREACH/);
    assert.match(atNone[0]?.advice ?? '', /^agents use the other addresses; nothing is to be done/);
    assertFault(await diagnose(`${NO_ROUTE}:${port}`), 'tcp', /ENETUNREACH/, /^check the address and the way there/);
  });

  it('sees packets that are dropped: nothing answers TCP', async (t) => {
    const silent = new net.Socket();
    t.mock.method(net, 'connect', () => silent);
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const diagnosed = diagnose('127.0.0.1:1');
    await new Promise(setImmediate);
    t.mock.timers.tick(STEP_TIMEOUT_MS);
    assertFault(await diagnosed, 'tcp', /took longer than 8000 ms$/, /^nothing answers: a firewall drops the packets/);
  });

  it('sees a port that opens and answers no TLS', async (t) => {
    const server = net.createServer((socket) => socket.on('error', () => {}).resume());
    const port = await listen(t, server);
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const accepted = once(server, 'connection');
    const diagnosed = diagnose(`127.0.0.1:${port}`);
    const [socket] = (await accepted) as [net.Socket];
    await once(socket, 'data');
    t.mock.timers.tick(STEP_TIMEOUT_MS);
    assertFault(await diagnosed, 'tls', /took longer than 8000 ms$/, /^TCP opens, TLS is not answered: .*MTU/);
  });

  it('sees a certificate that is not valid yet', async (t) => {
    const early = await datedCertificate('2090-01-01', '2091-01-01');
    const server = https.createServer(early, (_request, response) => response.writeHead(404).end());
    const port = await listen(t, server);
    const pinned = await diagnose(`127.0.0.1:${port}`, pinOf(early.cert));
    const { result, message } = pinned.find(({ step }) => step === 'certificate') ?? {};
    assert.equal(result, 'warning');
    assert.match(message ?? '', /; by this clock it is not valid before 2090-01-01 00:00 UTC$/);
  });
});
