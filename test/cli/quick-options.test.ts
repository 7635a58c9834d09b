import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { inspect } from 'node:util';
import type { QuickArguments } from '../../src/cli/quick-flags.ts';
import { quickOptions } from '../../src/cli/quick-options.ts';
import { BackdialError, type ErrorCode } from '../../src/core/errors.ts';

const TARGET = { kind: 'tcp', host: 'localhost', port: 3000 } as const;
const SECRET = 'a-secret-of-good-length';
const GIVEN: QuickArguments = { server: 'tunnel.test', domain: 'dev.test', secret: SECRET };
const PIN = `sha256/${'A'.repeat(43)}=`;

const folder = mkdtempSync(join(tmpdir(), 'backdial-quick-'));
after(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string, mode = 0o600): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

function fails(code: ErrorCode, flags: QuickArguments, message: RegExp, env: Record<string, string> = {}): void {
  assert.throws(
    () => quickOptions(flags, TARGET, env),
    (error: unknown) => {
      assert.ok(error instanceof BackdialError);
      assert.equal(error.code, code);
      assert.match(error.message, message);
      assert.doesNotMatch(inspect(error), new RegExp(SECRET));
      return true;
    },
  );
}

describe('the options of a quick agent', () => {
  it('come from flags', () => {
    const { domain, server } = quickOptions({ ...GIVEN, pin: PIN, instance: 'i-1', identity: 'ci' }, TARGET, {});
    assert.equal(server, 'tunnel.test:443');
    assert.equal(domain.secret?.reveal(), SECRET);
    assert.deepEqual(
      { ...domain, secret: null },
      { name: 'dev.test', secret: null, target: TARGET, remote: [server], pin: PIN, instance: 'i-1', identity: 'ci' },
    );
  });

  it('come from the environment alone, as in a container', () => {
    const env = {
      BACKDIAL_SERVER: '[2001:db8::1]:8443',
      BACKDIAL_DOMAIN: 'Dev.Test',
      BACKDIAL_SECRET_FILE: file('secret', `${SECRET}\n`),
      BACKDIAL_PIN: PIN,
      BACKDIAL_INSTANCE: 'box',
    };
    const { domain, server, warnings } = quickOptions({}, TARGET, env);
    assert.equal(server, '[2001:db8::1]:8443');
    assert.deepEqual([domain.name, domain.pin, domain.instance], ['dev.test', PIN, 'box']);
    assert.equal(domain.secret?.reveal(), SECRET);
    assert.deepEqual(warnings, []);
  });

  it('prefer flags to the environment, and count an empty variable as none', () => {
    const env = {
      BACKDIAL_SERVER: 'other.test',
      BACKDIAL_DOMAIN: 'other.test',
      BACKDIAL_SECRET: 'other',
      BACKDIAL_PIN: '',
    };
    const { domain, server } = quickOptions(GIVEN, TARGET, env);
    assert.deepEqual([server, domain.name, domain.secret?.reveal()], ['tunnel.test:443', 'dev.test', SECRET]);
    assert.equal(domain.pin, undefined);
    fails('usage', { domain: 'a.test', secret: SECRET }, /--server is missing/, { BACKDIAL_SERVER: '' });
  });

  it('name what is missing, and its variable', () => {
    fails('usage', { domain: 'a.test', secret: SECRET }, /--server is missing \(or BACKDIAL_SERVER\)/);
    fails('usage', { server: 'a', secret: SECRET }, /--domain is missing \(or BACKDIAL_DOMAIN\)/);
    fails('usage', { server: 'a', domain: 'b.test' }, /--secret-file is missing \(or BACKDIAL_SECRET_FILE/);
    fails('usage', { ...GIVEN, secretFile: 'x' }, /one is enough/);
  });

  it('refuse values that cannot be right, without showing the secret', () => {
    fails('input-invalid', { ...GIVEN, server: 'a:b:c' }, /the server `a:b:c`/);
    fails('input-invalid', { ...GIVEN, server: 'https://a' }, /HOST or HOST:PORT/);
    fails('input-invalid', { ...GIVEN, server: 'https://user:pa55@a' }, /`https:\/\/\[redacted\]@a`/);
    fails('input-invalid', { ...GIVEN, domain: 'a_b' }, /`a_b` is not a valid host name/);
    fails('input-invalid', { ...GIVEN, pin: 'sha256/short' }, /44 characters of base64/);
    fails('input-invalid', { ...GIVEN, instance: 'a.b' }, /one label/);
    fails('input-invalid', { ...GIVEN, secret: `${SECRET}\n${SECRET}` }, /cannot be printed/);
    fails('input-invalid', { ...GIVEN, secret: SECRET.repeat(6) }, /at most 128/);
    fails(
      'input-invalid',
      { ...GIVEN, ca: join(folder, 'none') },
      /--ca: the file .*none does not exist; is its path right\?/,
    );
    fails(
      'input-invalid',
      { server: 'a', domain: 'b.test', secretFile: folder },
      /--secret-file: the file .* is a folder; name the file in it/,
    );
  });

  it('warn of a secret on the command line, a short one, and a file that others may read', () => {
    assert.match(quickOptions(GIVEN, TARGET, {}).warnings.join(), /list of processes/);
    const open = file('open', 'short', 0o644);
    const { warnings } = quickOptions({ server: 'a', domain: 'b.test', secretFile: open }, TARGET, {});
    assert.deepEqual(
      warnings.map((warning) => /others may read it|short/.exec(warning)?.[0]),
      ['others may read it', 'short'],
    );
  });
});
