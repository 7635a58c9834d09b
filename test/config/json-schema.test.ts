import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { describe, it } from 'node:test';
import JSON5 from 'json5';
import { Findings } from '../../src/config/findings.ts';
import { type FileSchema, fileSchemas } from '../../src/config/json-schema.ts';
import { describeKeys, keyComments } from '../../src/config/schema-comments.ts';
import { openSource } from '../../src/config/source.ts';
import { SchemaJudge } from '../support/schema-judge.ts';

const SCHEMAS = fileSchemas();

function schemaOf(name: string): FileSchema {
  const found = SCHEMAS.find((schema) => schema.name === name);
  assert.ok(found !== undefined, name);
  return found;
}

const JUDGES = new Map(SCHEMAS.map(({ name }) => [name, new SchemaJudge(name)]));

function accepts(name: string, value: unknown): boolean {
  return JUDGES.get(name)?.accepts(value) ?? assert.fail(name);
}

/** Which schema a file of conf/ is under. */
function kindOf(file: string): string {
  const side = file.includes('/agent/') ? 'agent' : 'server';
  return file.includes('/domains/') ? `${side}-domain` : side;
}

describe('the JSON Schemas', () => {
  it('accept every file of conf/', async () => {
    const files = globSync('conf/**/*.json5');
    assert.ok(files.length >= 8);
    for (const file of files) {
      const source = await openSource(file, new Findings());
      assert.ok(source !== null && accepts(kindOf(file), source.value), file);
    }
  });

  it('are named by the files that show every key, and are where these say once the package is built', () => {
    for (const { name, example } of SCHEMAS) {
      const file = `conf/${example}`;
      const { $schema } = JSON5.parse(readFileSync(file, 'utf8')) as { $schema?: string };
      assert.equal(resolve(dirname(file), $schema ?? ''), resolve('dist/schemas', `${name}.schema.json`));
    }
  });

  it('refuse unknown keys, at every depth, and values of another kind', () => {
    const wrong: readonly (readonly [string, unknown])[] = [
      ['server', { lisen: 1 }],
      ['server', { idleTimeout: 65 }],
      ['server', { idleTimeout: '65' }],
      ['server', { headersSize: '64KB' }],
      ['server', { unavailable: 200 }],
      ['server', { transaction: 'yes' }],
      ['server', { certificates: [{ hosts: '*', cert: 'a.pem' }] }],
      ['server', { log: { level: 'loud' } }],
      ['server', { log: { system: { file: 'a', size: 1 } } }],
      ['server', { log: { system: 'stdout' } }],
      ['server', { listen: { address: 'unix:s', mode: 660 } }],
      ['server', { listen: { mode: '0660' } }],
      ['server', { listen: 'fd:x' }],
      ['server', { listen: [] }],
      ['server', { admin: { listen: 'systemd:x' } }],
      ['server', { admin: { listen: 9090, token: 7 } }],
      ['server', { admin: true }],
      ['server', { sni: '/srv/hosts' }],
      ['server', { sni: { hosts: '/srv/hosts', hash: true } }],
      ['server', { proxy: { listen: 'fd:3' } }],
      ['server', { proxy: { listen: 8080, credentials: ['user'] } }],
      ['server', { proxy: { credentials: ['user:password'] } }],
      ['server', { grants: { identity: 'ci' } }],
      ['server', { grants: [{ identity: 'a:b', secret: '@ci.secret' }] }],
      ['server', { grants: [{ identity: 'ci', secret: '@ci.secret', ports: 70_000 }] }],
      ['server', { grants: [{ identity: 'ci', secret: '@ci.secret', domain: 'x' }] }],
      ['server', { redirect: { address: 80 } }],
      ['server-domain', { grants: [] }],
      ['server-domain', { grants: { connect: 'a:b' } }],
      ['server-domain', { grants: { destinations: ['10.0.0.0/33'] } }],
      ['server-domain', { target: 'https://a:1' }],
      ['server-domain', { networks: ['everywhere'] }],
      ['server-domain', { clients: { ranges: '8:00-19:00' } }],
      ['server-domain', { clients: { credentials: 'user' } }],
      ['server-domain', { balance: 'best' }],
      ['server-domain', { clients: { network: [] } }],
      ['server-domain', { secret: 5 }],
      ['agent', { listen: '0.0.0.0:443' }],
      ['agent', { log: { disconnected: true } }],
      ['agent', { api: { token: 'a token of some length' } }],
      ['agent', { log: { access: { syslog: '/dev/log' } } }],
      ['agent-domain', { pin: 'sha256/abc' }],
      ['agent-domain', { ports: { 80: 3_000 } }],
      ['agent-domain', { remote: 'https://vps.example.com' }],
      ['agent-domain', { instance: 'web.1' }],
      ['agent-domain', { connections: 65 }],
      ['agent-domain', { targets: [{ path: '/' }] }],
      ['agent-domain', { targets: { target: 'http://a:1', tls: { verfy: true } } }],
      ['agent-domain', { targets: { target: [{ url: 'http://a:1', weight: 0 }] } }],
      ['agent-domain', { targets: { target: 3_000, proxyProtocol: 3 } }],
    ];
    for (const [name, value] of wrong) assert.ok(!accepts(name, value), `${name} ${JSON.stringify(value)}`);
  });

  it('accept every short form: one value for a list, null for a default, 0 without a unit', () => {
    const right: readonly (readonly [string, unknown])[] = [
      ['server', {}],
      ['server', { listen: 443, name: null, bodySize: 0, idleTimeout: 0, redirect: 80, log: null }],
      ['server', { certificates: { hosts: '*', cert: 'a.pem', key: 'a.key' } }],
      ['server', { log: { system: ['console', { syslog: 'udp://h:514' }], access: null } }],
      [
        'server-domain',
        { listen: [5_432, '127.0.0.1:1'], secret: ['a', '@b'], bodySize: null, clients: { networks: '::1' } },
      ],
      ['agent-domain', { remote: 'h', targets: { target: 3_000 }, ports: { 5432: '127.0.0.1:5432' } }],
      ['agent-domain', { targets: [{ target: ['http://a:1', { url: 'b:2' }], query: { a: null } }] }],
    ];
    for (const [name, value] of right) assert.ok(accepts(name, value), `${name} ${JSON.stringify(value)}`);
  });

  it('describe each key as conf/ does', () => {
    for (const { name, example, schema } of SCHEMAS) {
      const described = describeKeys(schema, keyComments(readFileSync(`conf/${example}`, 'utf8')));
      for (const [key, shape] of Object.entries(described.properties as Record<string, { description?: string }>)) {
        if (key !== 'log') assert.ok((shape.description ?? '').length > 10, `${name}: ${key}`);
      }
    }
    const agent = schemaOf('agent-domain');
    const text = JSON.stringify(describeKeys(agent.schema, keyComments(readFileSync(`conf/${agent.example}`, 'utf8'))));
    assert.match(text, /"verify":\{"description":"Whether the target's certificate must be valid for its host\."/);
  });
});
