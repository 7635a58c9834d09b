import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { keepSelfSigned, keptPin } from '../../src/cli/self-signed.ts';
import { pinOf } from '../../src/net/pin.ts';
import { makeSelfSigned } from '../../src/pki/self-signed.ts';
import { missingTools } from '../support/tools.ts';

describe('the self-signed certificate of a server without one', () => {
  let state: string;
  beforeEach(() => {
    state = join(mkdtempSync(join(tmpdir(), 'backdial-state-')), 'state');
  });
  afterEach(() => rmSync(join(state, '..'), { recursive: true }));

  it('is made once and kept, so that pins stay true over restarts', async () => {
    const first = await keepSelfSigned(state, ['localhost']);
    const second = await keepSelfSigned(state, ['localhost']);
    assert.deepEqual([first.created, second.created], [true, false]);
    assert.deepEqual({ ...second, created: true }, first);
    assert.equal(first.pin, pinOf(first.cert));
    assert.equal(await keptPin(state), first.pin);
    assert.ok(new X509Certificate(first.cert).checkPrivateKey(createPrivateKey(first.key)));
  });

  it('is written again where its file is gone while it is in force: a new key would lock every agent out', async () => {
    const first = await keepSelfSigned(state, ['localhost']);
    rmSync(state, { recursive: true });
    const again = await keepSelfSigned(state, ['localhost'], first);
    assert.deepEqual(again, { ...first, created: false, restored: true });
    assert.equal(await keptPin(state), first.pin);
    const restarted = await keepSelfSigned(state, ['localhost']);
    assert.deepEqual(restarted, { ...first, created: false, restored: false });
  });

  it('is one file that only its owner may read, and leaves no draft', async () => {
    await keepSelfSigned(state, ['localhost']);
    assert.deepEqual(readdirSync(state), ['self-signed.pem']);
    assert.equal(statSync(join(state, 'self-signed.pem')).mode & 0o777, 0o600);
    assert.equal(statSync(state).mode & 0o777, 0o700);
  });

  it('leaves no draft where the disk is full: each restart would leave another', async (t) => {
    if (missingTools('prlimit') !== false) return t.skip('no prlimit');
    // As on a full disk a file is made, and takes no byte.
    const limit = (bytes: string) => execFileSync('prlimit', ['--pid', String(process.pid), `--fsize=${bytes}:`]);
    const ignore = (): void => {};
    process.on('SIGXFSZ', ignore);
    try {
      limit('0');
      const message = /self-signed\.pem: EFBIG/;
      await assert.rejects(keepSelfSigned(state, ['localhost']), { code: 'config-invalid', message });
    } finally {
      limit('unlimited');
      process.off('SIGXFSZ', ignore);
    }
    assert.deepEqual(readdirSync(state), []);
  });

  it('is not replaced in silence when its file is damaged', async () => {
    mkdirSync(state);
    const file = join(state, 'self-signed.pem');
    writeFileSync(file, '-----BEGIN CERTIFICATE-----\ncut');
    await assert.rejects(keepSelfSigned(state, ['localhost']), {
      code: 'config-invalid',
      message: /self-signed\.pem: it does not hold a certificate and its key/,
    });
    assert.equal(readFileSync(file, 'utf8'), '-----BEGIN CERTIFICATE-----\ncut');
    assert.equal(await keptPin(state), null);
  });

  it('is made anew when it has ended', async () => {
    mkdirSync(state);
    const { cert, key } = await makeSelfSigned({ hosts: ['localhost'], days: -0.01 });
    writeFileSync(join(state, 'self-signed.pem'), `${key}${cert}`);
    const kept = await keepSelfSigned(state, ['localhost']);
    assert.equal(kept.created, true);
    assert.ok(new X509Certificate(kept.cert).validToDate.getTime() > Date.now() + 300 * 86_400_000);
  });

  it('is a configuration error where the folder cannot be used', async () => {
    writeFileSync(state, 'a file');
    await assert.rejects(keepSelfSigned(state, ['localhost']), { code: 'config-invalid', message: /`state`/ });
  });
});
