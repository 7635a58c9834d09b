import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import JSON5 from 'json5';
import { resolveAgentOptions } from '../../src/agent/resolve-options.ts';
import { AGENT_DOMAIN_KEYS, AGENT_KEYS, TARGET_KEYS, TLS_KEYS } from '../../src/config/agent-keys.ts';
import { CLIENTS_KEYS } from '../../src/config/clients.ts';
import { GRANTS_KEYS } from '../../src/config/grants.ts';
import { loadAgent } from '../../src/config/load-agent.ts';
import { loadServer } from '../../src/config/load-server.ts';
import { LOG_FILE_KEYS, syslogKeys } from '../../src/config/log-destinations.ts';
import { AGENT_LOG_KEYS, SERVER_LOG_KEYS } from '../../src/config/log-settings.ts';
import { SERVER_DOMAIN_KEYS, serverKeys } from '../../src/config/server-keys.ts';
import { Secret } from '../../src/core/secret.ts';
import { LOG_LEVELS } from '../../src/log/levels.ts';
import { resolveDomain, resolveServerOptions } from '../../src/server/resolve-options.ts';
import { testCertificate } from '../support/certificates.ts';
import { withFolder } from '../support/with-folder.ts';

const SERVER = 'conf/server.json5';
const SERVER_DOMAIN = 'conf/domains/www.example.com.json5';
const AGENT = 'conf/agent/agent.json5';
const AGENT_DOMAIN = 'conf/agent/domains/www.example.com.json5';
const NAME = 'www.example.com';
const SECRET = 'a secret of a test, long enough';

const read = (file: string) => readFileSync(file, 'utf8');
const parse = (file: string) => JSON5.parse(read(file)) as Record<string, unknown>;
const keysOf = ({ schema }: { schema: { shape: object } }) => Object.keys(schema.shape).sort();
/** `active` and a secret are what a domain needs; everything else stays as conf/ shows it. */
const activated = (file: string) =>
  read(file).replace('active: false', 'active: true').replace('secret: ""', `secret: "${SECRET}"`);

describe('conf/', () => {
  it('has these files, and nothing that is not loaded below', () => {
    assert.deepEqual(
      globSync('conf/**/*.*', {
        exclude: ['conf/examples/**', 'conf/compose/**', 'conf/prometheus/**', 'conf/grafana/**'],
      }).toSorted(),
      [AGENT, AGENT_DOMAIN, SERVER_DOMAIN, SERVER].toSorted(),
    );
  });

  it('loads without a problem', async () => {
    const results = [await loadServer(SERVER), await loadAgent(AGENT)];
    for (const result of results) {
      assert.deepEqual(result.ok ? [] : result.problems, []);
      assert.deepEqual(
        result.warnings.map((warning) => warning.message),
        ['no domain is active: nothing is served; set `active: true` in the file of one, such as www.example.com'],
      );
      assert.deepEqual(result.ok && result.config.inactive, [NAME]);
    }
  });

  it('shows every key that exists, and no other', () => {
    const server = parse(SERVER);
    const agent = parse(AGENT);
    const domain = parse(AGENT_DOMAIN);
    const [target] = domain.targets as [{ tls: object }];
    const shown: readonly (readonly [object, { schema: { shape: object } }])[] = [
      [server, serverKeys('/')],
      [server.log as object, SERVER_LOG_KEYS],
      [parse(SERVER_DOMAIN), SERVER_DOMAIN_KEYS],
      [parse(SERVER_DOMAIN).clients as object, CLIENTS_KEYS],
      [parse(SERVER_DOMAIN).grants as object, GRANTS_KEYS],
      [agent, AGENT_KEYS],
      [agent.log as object, AGENT_LOG_KEYS],
      [domain, AGENT_DOMAIN_KEYS],
      [target, TARGET_KEYS],
      [target.tls, TLS_KEYS],
    ];
    for (const [object, keys] of shown) assert.deepEqual(Object.keys(object).sort(), keysOf(keys));
  });

  it('explains every key just above it', () => {
    for (const file of [SERVER, SERVER_DOMAIN, AGENT, AGENT_DOMAIN]) {
      const lines = read(file).split('\n');
      const keys = lines.flatMap((line, index) => (/^\s*\w+:/.test(line) ? [index] : []));
      assert.ok(keys.length > 5);
      for (const index of keys) {
        // The keys of an object follow its own line; `log` says what it is by its keys.
        const explained = /^\s*\/\/ \S/.test(lines[index - 1] ?? '') || /^\s*log: \{$/.test(lines[index] ?? '');
        assert.ok(explained, `${file}:${index + 1} has no comment: ${lines[index]}`);
      }
    }
  });

  it('shows every key of a log file and of a syslog receiver, in comments', () => {
    for (const file of [SERVER, AGENT]) {
      const shown = Array.from(read(file).matchAll(/^ *\/\/ +(\{ (?:file|syslog): .*\})$/gm), ([, text = '']) => text);
      const keys = shown.map((text) => Object.keys(JSON5.parse(text) as object).sort());
      assert.deepEqual(keys, [keysOf(LOG_FILE_KEYS), keysOf(syslogKeys('/'))]);
    }
  });

  it("shows the server's defaults", async () => {
    const { cert, key } = testCertificate();
    const shown = await withFolder(
      { 'server.json5': read(SERVER), [`domains/${NAME}.json5`]: activated(SERVER_DOMAIN) },
      (folder) => loadServer(`${folder}/server.json5`, { stateDirectory: '/s' }),
    );
    const bare = await withFolder(
      { 'server.json5': '{}', [`domains/${NAME}.json5`]: `{ active: true, secret: "${SECRET}" }` },
      (folder) => loadServer(`${folder}/server.json5`, { stateDirectory: '/s' }),
    );
    assert.ok(shown.ok && bare.ok);
    const certificates = [{ hosts: ['*'], cert, key }];
    const domains = [{ name: NAME, secrets: [new Secret(SECRET)] }];
    const plain = { certificates, domains, listen: shown.config.options.listen };
    const ofShown = resolveServerOptions({ ...shown.config.options, certificates });
    assert.deepEqual(ofShown, resolveServerOptions({ ...bare.config.options, certificates }));
    assert.deepEqual(ofShown, {
      ...resolveServerOptions(plain),
      domains: [resolveDomain(domains[0] ?? assert.fail(), ofShown)],
    });
    assert.deepEqual(shown.config.log, bare.config.log);
  });

  it("shows the agent's defaults", async () => {
    const target = 'targets: { target: "http://127.0.0.1:3000" }';
    const shown = await withFolder(
      { 'agent.json5': read(AGENT), [`domains/${NAME}.json5`]: activated(AGENT_DOMAIN) },
      (folder) => loadAgent(`${folder}/agent.json5`, { stateDirectory: '/s' }),
    );
    const bare = await withFolder(
      { 'agent.json5': '{}', [`domains/${NAME}.json5`]: `{ active: true, secret: "${SECRET}", ${target} }` },
      (folder) => loadAgent(`${folder}/agent.json5`, { stateDirectory: '/s' }),
    );
    assert.ok(shown.ok && bare.ok);
    const domains = [
      {
        name: NAME,
        secret: new Secret(SECRET),
        target: { kind: 'tcp' as const, host: '127.0.0.1', port: 3_000, http: true as const },
      },
    ];
    const ofShown = resolveAgentOptions(shown.config.options);
    assert.deepEqual(ofShown, resolveAgentOptions(bare.config.options));
    assert.deepEqual(ofShown, resolveAgentOptions({ domains }));
    assert.deepEqual(shown.config.log, bare.config.log);
  });

  it('names the log levels that the log has', () => {
    assert.deepEqual(
      LOG_LEVELS.filter((level) => SERVER_LOG_KEYS.schema.shape.level.safeParse(level).success),
      LOG_LEVELS,
    );
    for (const file of [SERVER, AGENT])
      assert.ok(read(file).includes(`${LOG_LEVELS.slice(0, -1).join(', ')} or silent`));
  });
});
