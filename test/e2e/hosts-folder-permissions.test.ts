import assert from 'node:assert/strict';
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { it } from 'node:test';
import { alertToName } from '../support/alert.ts';
import { testCertificate } from '../support/certificates.ts';
import { hello } from '../support/client-hello.ts';
import { connectPeer, startRawTarget } from '../support/raw-target.ts';
import { MAIN, startCli } from '../support/run-cli.ts';
import { findTool, missingTools } from '../support/tools.ts';
import { withFolder } from '../support/with-folder.ts';
import { within } from '../support/within.ts';

const HOST = 'www.example.org';

/** Root reads what nobody may: without these capabilities it is a user like any other. */
const WITHOUT_OVERRIDE = ['--bounding-set=-dac_override,-dac_read_search', '--inh-caps=-all'];

it(
  'a hosts folder, a host or a socket that the server may not use is a dead one, alert 112, until it may',
  {
    skip: missingTools('setpriv'),
  },
  () =>
    withFolder({}, async (folder) => {
      const { certFile, keyFile } = testCertificate();
      const hosts = join(folder, 'hosts');
      await mkdir(join(hosts, HOST), { recursive: true });
      await mkdir(join(folder, 'domains'));
      const path = join(folder, 'socket');
      const target = await startRawTarget({ path, onPeer: (peer) => peer.stream.end('here') });
      await symlink(path, join(hosts, HOST, 'tls-socket'));
      const file = {
        listen: '127.0.0.1:0',
        certificates: [{ hosts: 'own.example.com', cert: certFile, key: keyFile }],
        sni: { hosts: 'hosts' },
        log: { access: 'console' },
      };
      await writeFile(join(folder, 'server.json5'), JSON.stringify(file));
      const isRoot = process.getuid?.() === 0;
      const server = startCli(['server', '-c', join(folder, 'server.json5')], {
        ...(isRoot ? { program: [findTool('setpriv'), ...WITHOUT_OVERRIDE, process.execPath, MAIN] } : {}),
      });
      try {
        const [, port] = await server.see(/listening on 127\.0\.0\.1:(\d+) \(front door\)/);
        for (const [place, mode] of [
          [hosts, 0o700],
          [join(hosts, HOST), 0o700],
          [path, 0o600],
        ] as const) {
          assert.equal(await reached(Number(port)), 'here');
          await chmod(place, 0);
          assert.equal(await alertToName(Number(port), HOST), 112, place);
          await chmod(place, mode);
        }
        assert.equal(await reached(Number(port)), 'here');
        assert.equal(server.output().stdout.match(/"reason":"target-unreachable"/g)?.length, 3);
        const told = server.output().stdout.match(/"event":"warning".*EACCES.*/g);
        assert.equal(told?.length, 1, 'one warning for one name');
        assert.match(told[0], /"msg":"www\.example\.org: .*hosts\/www\.example\.org\/tls-socket.*EACCES.*alert 112"/);
      } finally {
        await chmod(hosts, 0o700);
        await server.end('SIGKILL');
        await target.close();
      }
    }),
);

async function reached(port: number): Promise<string> {
  const visitor = await connectPeer(port);
  visitor.stream.write(hello({ serverName: HOST }));
  await within('the end', visitor.ending);
  visitor.close();
  return visitor.text;
}
