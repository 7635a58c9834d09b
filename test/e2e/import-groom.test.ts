import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { describe, it } from 'node:test';
import JSON5 from 'json5';
import { loadAgent } from '../../src/config/load-agent.ts';
import { loadServer } from '../../src/config/load-server.ts';
import { testCertificate } from '../support/certificates.ts';
import { runCli } from '../support/run-cli.ts';
import { withFolder } from '../support/with-folder.ts';

const parse = (file: string) => JSON5.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;

const SERVER = `groom
{
    mode = server   // bare words are texts
    log {
        system = "file(path=logs/public-%Y%m%d.log) syslog(facility=local4,name=public)"
        access = "file(path=logs/clients-%Y%m%d.log,time=no,severity=no)"
        disconnected = yes
    }
    listen
    [
        "10.11.12.13:8443,one.pem,one.key"
        "*:8444,groom.certificates" // a list in this file
    ]
    certificates [ "^.+\\\\.dev\\\\.example\\\\.com$ one.pem one.key", "* one.pem one.key" ]
    idle_timeout = 20s; body_size = 1MB
    /* the rest
       is left as it is */
    unavailable = 410
    strange = 1
}
`;
const DOMAIN = `groom {
    active = on
    secret = "super # secret, 16+"
    networks = [ "190.27.3.0/24", "4.3.0.0/18" ]
    forward = [ "10.0.0.0/8" ]
    clients {
        networks = [ "174.17.24.0/24" ]
        ranges = [ "2019-10-01-2019-10-31 tue-fri 08:00-19:00", "2020-01-01 sat- 13:00-17:00" ]
        credentials = [ "user1:password1", "user2:password2" ]
    }
}
`;
const AGENT = `groom { mode: "agent", connect_timeout: 7s, log { system = "file(path=agent.log) console()" } }`;
const AGENT_DOMAIN = `groom
{
    active = true
    secret = "super-secret-enough"
    remote = "vps.example.com:8443"
    targets
    {
        active = [ static, api, moved, shared, whole, default, gone, empty ]
        static {
            method = "^(options|HEAD|GET)$"
            path   = "^/static/.+$"
            target = "https://localhost:9443/"
        }
        api { path = "^/api", target = "http://localhost:8001" }
        moved { path = "^/v(?P<n>\\\\d+)/(.*)$", target = "http://localhost:8002/x/\${n}/\${2}$$" }
        shared { path = "^/shared/.*$", target = "http://3@one:80|two:8080|three:http" }
        whole { path = "^/whole$", host = Remote, target = "http://localhost:8003?a=b" }
        empty { path = "^/empty$" }
        default { host = forwarded, target = "http://localhost:8000/?debug=&who=me" }
    }
}
`;

describe('backdial import groom', () => {
  it("converts a server's configuration into one that loads, and notes what it leaves out", async () => {
    const { cert, key } = testCertificate();
    const files = {
      'groom.conf': SERVER,
      'domains/www.example.com': DOMAIN,
      'domains/.hidden': 'x',
      'out/one.pem': cert,
      'out/one.key': key,
      'out/logs/keep': '',
    };
    await withFolder(files, async (folder) => {
      const { code, stdout, stderr } = await runCli([
        'import',
        'groom',
        `${folder}/groom.conf`,
        '--out',
        `${folder}/out`,
      ]);
      assert.equal(code, 0, stderr);
      assert.match(stdout, /^wrote .*server\.json5\nwrote .*domains\/www\.example\.com\.json5$/m);
      assert.match(stdout, /^note: server: `strange` was left out$/m);
      assert.match(stdout, /^note: log: syslog goes to udp/m);
      const server = parse(`${folder}/out/server.json5`);
      assert.deepEqual(server.listen, ['10.11.12.13:8443', '0.0.0.0:8444', '[::]:8444']);
      assert.deepEqual(
        (server.certificates as { hosts: string }[]).map(({ hosts }) => hosts),
        ['/^.+\\.dev\\.example\\.com$/', '*'],
      );
      assert.deepEqual(
        [server.idleTimeout, server.bodySize, server.unavailable, 'service' in server],
        ['20s', '1MB', 410, false],
      );
      const loaded = await loadServer(`${folder}/out/server.json5`);
      assert.deepEqual(loaded.ok ? [] : loaded.problems, []);
      assert.ok(loaded.ok);
      const [domain] = loaded.config.options.domains;
      assert.equal(domain?.name, 'www.example.com');
      assert.equal(domain?.secrets?.[0]?.reveal(), 'super # secret, 16+');
      assert.equal(domain?.concurrency, 20);
      assert.equal(domain?.forward?.length, 1);
      assert.equal(domain?.clients?.banner, 'groom');
      assert.equal(domain?.clients?.ranges?.length, 2);
    });
  });

  it("converts an agent's, with its routes in their order", async () => {
    await withFolder({ 'groom.conf': AGENT, 'domains/www.example.com': AGENT_DOMAIN }, async (folder) => {
      const { code, stdout, stderr } = await runCli(['import', 'groom', 'groom.conf', '--out', 'out'], { cwd: folder });
      assert.equal(code, 0, stderr);
      assert.match(stdout, /the target `gone` was left out/);
      assert.match(stdout, /the target `empty` was left out: it has no URL/);
      assert.deepEqual(stdout.match(/.* is no host:port.*/g), [
        'note: www.example.com: `three:http` in its target is no host:port and was left out',
      ]);
      assert.match(stdout, /certificate of https:\/\/localhost:9443 is not verified, as with groom/);
      assert.deepEqual(parse(`${folder}/out/domains/www.example.com.json5`).targets, [
        {
          name: 'static',
          method: '^(OPTIONS|HEAD|GET)$',
          path: '^/static/.+$',
          rewrite: '/',
          target: 'https://localhost:9443',
          host: 'target',
          tls: { verify: false },
        },
        // What is left of the path when groom puts nothing in the place of the prefix.
        { name: 'api', path: '^/api', rewrite: '', target: 'http://localhost:8001', host: 'target' },
        {
          name: 'moved',
          path: '^/v(?<n>\\d+)/(.*)$',
          rewrite: '/x/$<n>/$2$$',
          target: 'http://localhost:8002',
          host: 'target',
        },
        {
          name: 'shared',
          path: '^/shared/.*$',
          target: [
            { url: 'http://one', weight: 3 },
            { url: 'http://two:8080', weight: 1 },
          ],
          host: 'target',
        },
        { name: 'whole', path: '^/whole$', target: 'http://localhost:8003', query: { a: 'b' }, host: 'forwarded' },
        {
          name: 'default',
          path: '^.*$',
          rewrite: '/',
          target: 'http://localhost:8000',
          query: { debug: null, who: 'me' },
          host: 'forwarded',
        },
      ]);
      const main = `${folder}/out/agent.json5`;
      // groom's own, which is another one here; secrets are in such files.
      assert.deepEqual([parse(main).readTimeout, statSync(main).mode & 0o777], ['20s', 0o600]);
      const loaded = await loadAgent(main);
      assert.deepEqual(loaded.ok ? [] : loaded.problems, []);
      assert.equal(loaded.ok && loaded.config.options.connectTimeoutMs, 7_000);
      const again = await runCli(['import', 'groom', 'groom.conf', '--out', 'out'], { cwd: folder });
      assert.equal(again.code, 1);
      assert.match(again.stderr, /is there already; --force overwrites/);
      assert.equal(
        (await runCli(['import', 'groom', 'groom.conf', '--out', 'out', '--force'], { cwd: folder })).code,
        0,
      );
    });
  });

  it("writes groom's defaults out where a file says nothing, and leaves out the files that groom does", async () => {
    const files = {
      'groom.conf': 'groom { mode = server, service = "/knock", headers_size = 8192 }',
      'domains/_old.example.com': 'x',
      'domains/www.example.com.dpkg-old': 'x',
      'domains/www.example.com': 'groom { active = on }',
    };
    await withFolder(files, async (folder) => {
      const { code, stdout } = await runCli(['import', 'groom', 'groom.conf', '--out', 'out'], { cwd: folder });
      assert.equal(code, 0);
      assert.match(stdout, /^note: server: it has no `listen`; here that is port 443 of all addresses$/m);
      assert.deepEqual(parse(`${folder}/out/server.json5`), {
        headersSize: '8kB',
        bodySize: '8MB',
        idleTimeout: '15s',
        service: '/knock',
      });
      assert.deepEqual(parse(`${folder}/out/domains/www.example.com.json5`), { active: true, concurrency: 20 });
      assert.equal(stdout.match(/^wrote /gm)?.length, 2);
    });
  });

  it('takes what is beyond the bounds of groom for the bound, as groom does, and clears the bits behind a prefix', async () => {
    const main =
      'groom { mode = server, idle_timeout = 90s, read_timeout = 1mn, write_timeout = 1, body_size = 2GB, headers_size = 1 }';
    const domain = `groom { active = on, secret = "sixteen bytes, or more", concurrency = 0, body_size = 512
      networks = [ "190.27.3.0/24", "4.3.62.0/18", "2001:db8::1/32", 10.0.0.1 ] clients { networks = [ "174.17.24.5/24" ] } }`;
    const files = { 'groom.conf': main, 'domains/www.example.com': domain, 'domains/more.example.com/x': 'x' };
    await withFolder(files, async (folder) => {
      const { code, stdout } = await runCli(['import', 'groom', 'groom.conf', '--out', 'out'], { cwd: folder });
      assert.equal(code, 0);
      assert.match(stdout, /^note: more\.example\.com: a folder, no file; left out$/m);
      const { idleTimeout, readTimeout, writeTimeout, bodySize, headersSize } = parse(`${folder}/out/server.json5`);
      assert.deepEqual(
        [idleTimeout, readTimeout, writeTimeout, bodySize, headersSize],
        ['60s', '60s', '5s', '1024MB', '1kB'],
      );
      const converted = parse(`${folder}/out/domains/www.example.com.json5`);
      assert.deepEqual([converted.concurrency, converted.bodySize], [3, '64kB']);
      assert.deepEqual(converted.networks, ['190.27.3.0/24', '4.3.0.0/18', '2001:db8::/32', '10.0.0.1']);
      assert.deepEqual(converted.clients, { networks: ['174.17.24.0/24'] });
      const loaded = await loadServer(`${folder}/out/server.json5`);
      assert.deepEqual(loaded.ok ? [] : loaded.problems, []);
    });
  });

  it('says where it does not understand a file, and writes nothing then', async () => {
    const wrong: readonly (readonly [string, RegExp])[] = [
      ['groom { mode = server\n listen = }', /groom\.conf:2: found "}"; wanted: a value/],
      ['groom { mode = server', /groom\.conf:1: found the end; wanted: a key/],
      ['other { mode = server }', /found no section `groom/],
      ['groom { mode = both }', /`mode` is neither server nor agent/],
      ['groom { mode = server\n x = {{<other.conf}} }', /groom\.conf:2: .* no macro/],
      [
        'groom { mode = server, domains = groom.conf }',
        /invalid: the folder of domains .*groom\.conf does not exist: a part/,
      ],
    ];
    for (const [text, message] of wrong) {
      await withFolder({ 'groom.conf': text }, async (folder) => {
        const { code, stdout, stderr } = await runCli(['import', 'groom', 'groom.conf', '--out', 'out'], {
          cwd: folder,
        });
        assert.equal(code, 1);
        assert.match(stderr, message);
        assert.equal(stdout, '');
      });
    }
    const missing = await runCli(['import', 'groom', '/nonexistent/groom.conf']);
    assert.equal(missing.code, 1);
    assert.match(missing.stderr, /the file \/nonexistent\/groom\.conf does not exist/);
    assert.equal((await runCli(['import', 'other', 'x'])).code, 2);
  });
});
