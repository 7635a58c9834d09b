import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigRecord } from '../../src/cli/config-record.ts';
import { BackdialError } from '../../src/core/errors.ts';

const CHANGES = [{ what: 'option', key: 'listen' }] as const;

describe('the record of the configuration', () => {
  it('counts what went into force, and since when', (t) => {
    t.mock.timers.enable({ apis: ['Date'], now: 1_000 });
    const record = new ConfigRecord();
    t.mock.timers.tick(500);
    record.applied({ changes: [], failures: [] });
    assert.deepEqual(record.config, { generation: 1, appliedAt: 1_000, lastReloadOk: true }, 'nothing changed');
    record.applied({ changes: CHANGES, failures: [] });
    assert.deepEqual(record.config, { generation: 2, appliedAt: 1_500, lastReloadOk: true });
  });

  it('says that the files are not in force while a part of them failed, or they are invalid', () => {
    const record = new ConfigRecord();
    record.applied({ changes: CHANGES, failures: [new BackdialError('listen-failed', '127.0.0.1:1')] });
    assert.equal(record.config.generation, 2);
    assert.equal(record.config.lastReloadOk, false);
    record.applied({ changes: [], failures: [] });
    assert.equal(record.config.lastReloadOk, true);
    record.refused();
    assert.equal(record.config.lastReloadOk, false);
    assert.equal(record.config.generation, 2);
  });
});
