import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { describe, it } from 'node:test';
import { runCli } from '../support/run-cli.ts';
import { findTool, missingTools } from '../support/tools.ts';
import { withFolder } from '../support/with-folder.ts';

const VERIFY = ['verify', '-x509_strict', '-CAfile', 'ca.pem', '-crl_check', '-CRLfile', 'crl.pem'];

describe('backdial pki', () => {
  it('makes what OpenSSL takes for its purpose, and for no other', { skip: missingTools('openssl') }, async () => {
    await withFolder({}, async (cwd) => {
      const openssl = (...args: string[]) => spawnSync(findTool('openssl'), args, { cwd, encoding: 'utf8' });
      const pki = async (...args: string[]) => {
        const { code, stdout, stderr } = await runCli(['pki', ...args], { cwd });
        assert.deepEqual([code, stderr], [0, '']);
        return stdout;
      };
      assert.match(await pki('ca'), /^wrote ca\.pem: authority, ends \d{4}-.*Z; .*\nwrote ca\.key.*\nwrote crl\.pem/);
      await pki('server', '--dns', 'vps.example.com', '--ip', '127.0.0.1', '--ip', '::1');
      const agent = await pki('agent', '--dns', '*.a.test', '--dns', 'Faß.de', '--out', 'agents');
      assert.match(
        agent,
        /^wrote agents\/agent\.pem: agent certificate for \*\.a\.test, xn--fa-hia\.de, ends .*, serial \w+\n/,
      );
      await pki('client', '--name', 'Jane Doe', '--days', '7');
      for (const [file, purpose, wrong] of [
        ['server.pem', 'sslserver', 'sslclient'],
        ['agents/agent.pem', 'sslclient', 'sslserver'],
        ['client.pem', 'sslclient', 'sslserver'],
      ] as const) {
        assert.equal(openssl(...VERIFY, '-purpose', purpose, file).stdout, `${file}: OK\n`);
        assert.match(openssl(...VERIFY, '-purpose', wrong, file).stderr, /unsuitable certificate purpose/);
      }
      const named = (name: string) => openssl(...VERIFY, '-verify_hostname', name, 'agents/agent.pem').status;
      assert.deepEqual([named('one.a.test'), named('xn--fa-hia.de'), named('b.one.a.test')], [0, 0, 2]);
      assert.equal(openssl(...VERIFY, '-verify_ip', '::1', 'server.pem').status, 0);
      for (const file of ['ca.key', 'server.key', 'agents/agent.key', 'client.key']) {
        assert.equal(statSync(`${cwd}/${file}`).mode & 0o777, 0o600, file);
      }
      const client = new X509Certificate(readFileSync(`${cwd}/client.pem`));
      assert.equal(client.subject, 'CN=Jane Doe');
      assert.ok(Math.abs(client.validToDate.getTime() - Date.now() - 7 * 86_400_000) < 600_000);
      assert.equal(client.publicKey.asymmetricKeyDetails?.namedCurve, 'prime256v1');
    });
  });

  it('says on standard error, in one line, what is wrong with its arguments', async () => {
    const wrongs: [string[], number, RegExp][] = [
      [['agent', '--dns'], 2, /not enough arguments following: dns\. See `backdial pki --help`/],
      [['agent', '--dns', 'a', '--days', '1', '--days', '2'], 2, /--days is given twice/],
      [['nothing'], 2, /Choices: "ca", "server", "agent", "client", "revoke"/],
      [['server', '--dns', '1.2.3.4', '--authority', '/nowhere'], 1, /no authority found at \/nowhere\/ca\.pem/],
    ];
    for (const [args, code, message] of wrongs) {
      const result = await runCli(['pki', ...args]);
      assert.deepEqual([result.code, result.stdout], [code, ''], args.join(' '));
      assert.match(result.stderr, message);
      assert.equal(result.stderr.split('\n').length, 2, result.stderr);
    }
  });
});
