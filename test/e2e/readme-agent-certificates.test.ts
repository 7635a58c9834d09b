import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { listenOn } from '../support/listen-on.ts';
import { codeBlock } from '../support/readme.ts';
import { MAIN, type RunningCli, startCli } from '../support/run-cli.ts';
import { withFolder } from '../support/with-folder.ts';

const INSTANCES = ['web-1', 'web-2', 'web-3'];

test('an operator sets up three agents with certificates from README alone, and takes one back', async () => {
  const target = http.createServer((_request, response) => response.end('ok'));
  const targetPort = await listenOn(target);
  const running: RunningCli[] = [];
  try {
    await withFolder({ 'bin/backdial': '' }, async (folder) => {
      // `backdial` as README writes it.
      writeFileSync(join(folder, 'bin/backdial'), `#!/bin/sh\nexec "${process.execPath}" "${MAIN}" "$@"\n`);
      chmodSync(join(folder, 'bin/backdial'), 0o755);
      const shell = (script: string, cwd: string) =>
        execFileSync('sh', ['-ec', script], {
          cwd,
          encoding: 'utf8',
          env: { ...process.env, PATH: `${join(folder, 'bin')}:${process.env.PATH}` },
        });
      shell(codeBlock('sh mtls'), folder);
      const authority = join(folder, 'agents-ca');

      const at = (...path: string[]) => join(folder, 'etc', ...path);
      const give = (from: string, to: string) => copyFileSync(join(authority, from), to);
      const replaced = (text: string) => text.replaceAll('/etc/backdial', at());
      mkdirSync(at('agents'), { recursive: true });
      mkdirSync(at('domains'));
      give('ca.pem', at('agents/ca.pem'));
      give('crl.pem', at('agents/crl.pem'));
      writeFileSync(at('server.json5'), '{ listen: ["127.0.0.1:0"], state: "state" }');
      writeFileSync(at('domains/www.example.com.json5'), replaced(codeBlock('json5 mtls-server')));
      const server = startCli(['server', '-c', at('server.json5')]);
      running.push(server);
      const [, pin = ''] = await server.see(/(sha256\/[A-Za-z0-9+/]{43}=)/);
      const [, port = ''] = await server.see(/"address":"127\.0\.0\.1:(\d+)"/);

      for (const instance of INSTANCES) {
        const own = join(folder, instance);
        mkdirSync(join(own, 'domains'), { recursive: true });
        for (const file of ['agent.pem', 'agent.key']) give(join(instance, file), join(own, file));
        writeFileSync(join(own, 'agent.json5'), '{}');
        const file = codeBlock('json5 mtls-agent')
          .replaceAll('/etc/backdial', own)
          .replace('"web-1"', `"${instance}"`)
          .replace('THE-PIN', pin)
          .replace('vps.example.com', `127.0.0.1:${port}`)
          .replace('127.0.0.1:3000', `127.0.0.1:${targetPort}`);
        writeFileSync(join(own, 'domains/www.example.com.json5'), file);
        const agent = startCli(['agent', '-c', join(own, 'agent.json5')]);
        running.push(agent);
        await agent.see(/"event":"tunnel-opened"/);
      }

      shell('backdial pki revoke web-2/agent.pem', authority);
      give('crl.pem', at('agents/crl.pem'));
      await server.see(/"event":"tunnel-closed"[^\n]*"instance":"web-2"[^\n]*revoked|revoked[^\n]*"instance":"web-2"/);
      await server.see(/agent-certificate[^\n]*was revoked on/);
      const { stdout } = server.output();
      assert.doesNotMatch(stdout, /"event":"tunnel-closed"[^\n]*"instance":"web-[13]"/);
      assert.doesNotMatch(stdout, /PRIVATE KEY/);
    });
  } finally {
    await Promise.all(running.map((program) => program.end('SIGKILL')));
    target.close();
  }
});
