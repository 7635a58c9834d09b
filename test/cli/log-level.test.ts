import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { logLevel } from '../../src/cli/log-level.ts';

describe('the log level', () => {
  it("is the configuration's unless the environment names another", () => {
    assert.equal(logLevel('warn', {}, undefined), 'warn');
    assert.equal(logLevel('warn', {}, ''), 'warn');
    assert.equal(logLevel('warn', {}, 'debug'), 'debug');
  });

  it('is moved by each -v and -q, and stops at either end', () => {
    assert.equal(logLevel('info', { verbose: 1 }, undefined), 'debug');
    assert.equal(logLevel('info', { quiet: 2 }, undefined), 'error');
    assert.equal(logLevel('info', { verbose: 9 }, undefined), 'trace');
    assert.equal(logLevel('info', { quiet: 9 }, undefined), 'silent');
  });

  it('refuses a name that is none, and says which there are', () => {
    assert.throws(() => logLevel('info', {}, 'loud'), {
      code: 'input-invalid',
      message: /BACKDIAL_LOG_LEVEL=loud.*trace, debug/,
    });
  });
});
