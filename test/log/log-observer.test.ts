import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { BackdialEvent, TunnelEnd } from '../../src/core/events.ts';
import { createAccessLog } from '../../src/log/access-log.ts';
import { FanOut } from '../../src/log/fan-out.ts';
import { createLogObserver } from '../../src/log/log-observer.ts';
import { createSystemLog } from '../../src/log/system-log.ts';
import { type Kept, keepLines } from '../support/log-destination.ts';
import { sampleAccess, sampleTunnel } from '../support/sample-events.ts';

/** Feeds events to a fresh observer; gives what the system log has of them. */
function logged(events: readonly BackdialEvent[], kept: Kept = keepLines()): Record<string, unknown>[] {
  const observer = createLogObserver({ system: createSystemLog(new FanOut('system', [kept]), 'trace'), access: null });
  for (const event of events) observer(event);
  return kept.records();
}

const opened = (id: string): BackdialEvent => ({
  type: 'tunnel-opened',
  tunnel: sampleTunnel({ id }),
  peerVersion: '1',
});
const closed = (id: string, reason: TunnelEnd): BackdialEvent => ({
  type: 'tunnel-closed',
  tunnel: sampleTunnel({ id }),
  reason,
  detail: null,
  lifetimeMs: 5_000,
});

describe('the system log', () => {
  it('warns when one of several tunnels is lost, and calls the loss of the last an error', () => {
    const records = logged([opened('a'), opened('b'), closed('a', 'lost'), closed('b', 'silent')]);
    assert.deepEqual(
      records.map(({ level, live }) => [level, live]),
      [
        ['info', 1],
        ['info', 2],
        ['warn', 1],
        ['error', 0],
      ],
    );
    assert.match(String(records[3]?.msg), /the other side stopped answering; no tunnel is up$/);
  });

  it('takes an end that this side wanted for news', () => {
    for (const reason of ['drained', 'shutdown'] as const) {
      assert.equal(logged([opened('a'), closed('a', reason)])[1]?.level, 'info', reason);
    }
  });

  it('warns when the last tunnel took its leave, for nobody serves the domain then', () => {
    assert.equal(logged([opened('a'), closed('a', 'peer-drained')])[1]?.level, 'warn');
    assert.equal(logged([opened('a'), opened('b'), closed('a', 'peer-drained')])[2]?.level, 'info');
  });

  it('does not count a tunnel that is leaving as one that is up', () => {
    const leaving = { type: 'tunnel-draining', tunnel: sampleTunnel({ id: 'a' }), reason: 'peer-drained' } as const;
    const records = logged([opened('a'), opened('b'), leaving, closed('b', 'lost')]);
    assert.equal(records[3]?.level, 'error');
  });

  it('counts the tunnels of each domain by themselves', () => {
    const other = {
      type: 'tunnel-opened',
      tunnel: sampleTunnel({ id: 'x', domain: 'db.test' }),
      peerVersion: null,
    } as const;
    assert.equal(logged([opened('a'), other, closed('a', 'lost')])[2]?.level, 'error');
  });

  it('shows what failed, which attempt it was, and how long the wait is', () => {
    const [record] = logged([
      {
        type: 'dial-failed',
        server: 'tunnel.test:443',
        address: '192.0.2.1:443',
        domain: 'www.test',
        instance: 'web-1',
        slot: 1,
        reason: 'server-unreachable',
        detail: 'connect ECONNREFUSED',
        attempt: 3,
        retryInMs: 740,
      },
    ]);
    assert.equal(record?.level, 'warn');
    assert.equal(record?.retryInMs, 740);
    assert.match(
      String(record?.msg),
      /to tunnel\.test:443 at 192\.0\.2\.1:443: the server cannot be reached: connect ECONNREFUSED; attempt 3, the next in 740 ms/,
    );
  });

  it('warns of an agent with a wrong secret, or with too many of them, and takes a stranger that speaks garbage for news', () => {
    const refusal = { type: 'handshake-refused', remote: '192.0.2.9:1', domain: 'www.test', instance: null } as const;
    const levels = logged([
      { ...refusal, reason: 'secret-wrong', detail: 'the secret is not one of the domain' },
      { ...refusal, reason: 'credentials-limit', detail: 'www.test' },
      { type: 'connection-refused', remote: '192.0.2.9:1', reason: 'hello-invalid', detail: 'garbage', name: null },
    ]).map(({ level }) => level);
    assert.deepEqual(levels, ['warn', 'warn', 'info']);
  });

  it('says where it listens and for what', () => {
    const records = logged([
      { type: 'listening', purpose: 'front-door', address: '0.0.0.0:443' },
      { type: 'listening', purpose: 'tcp', address: '0.0.0.0:5432', domain: 'db.test' },
      { type: 'warning', code: 'insecure', message: 'any certificate is accepted' },
    ]);
    assert.deepEqual(
      records.map(({ level, msg }) => [level, msg]),
      [
        ['info', 'listening on 0.0.0.0:443 (front door)'],
        ['info', 'listening on 0.0.0.0:5432 (TCP of db.test)'],
        ['warn', 'any certificate is accepted'],
      ],
    );
  });

  it('takes a target that is back for news', () => {
    const away = { domain: 'www.test', route: 'api', target: '127.0.0.1:1', awayMs: 41_500 };
    const [record] = logged([{ type: 'target-back', ...away }]);
    assert.equal(record?.level, 'info');
    assert.equal(record?.msg, 'www.test: target api: 127.0.0.1:1 is back after 41.5 s');
  });

  it('never shows what is logged under the name of a credential', () => {
    const kept = keepLines();
    const log = createSystemLog(new FanOut('system', [kept]), 'info');
    log.info({ secret: 'hunter2', request: { authorization: 'Bearer hunter2' } }, 'oops');
    assert.doesNotMatch(kept.lines.join(''), /hunter2/);
  });

  it('leaves access records to the access log', () => {
    const [system, access] = [keepLines(), keepLines()];
    const observer = createLogObserver({
      system: createSystemLog(new FanOut('system', [system]), 'trace'),
      access: createAccessLog({ destinations: [access] }),
    });
    observer({ type: 'access', record: sampleAccess() });
    assert.equal(system.lines.length, 0);
    assert.equal(access.lines.length, 1);
  });
});
