import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { describe, it } from 'node:test';
import JSON5 from 'json5';
import { z } from 'zod';
import { Findings } from '../../src/config/findings.ts';
import { type FileSchema, fileSchemas } from '../../src/config/json-schema.ts';
import { describeKeys, keyComments } from '../../src/config/schema-comments.ts';
import { openSource } from '../../src/config/source.ts';

const SCHEMAS = fileSchemas();

function schemaOf(name: string): FileSchema {
  const found = SCHEMAS.find((schema) => schema.name === name);
  assert.ok(found !== undefined, name);
  return found;
}

/** A validator that knows nothing but the JSON of the schema. */
function accepts(name: string, value: unknown): boolean {
  const text = JSON.stringify(schemaOf(name).schema);
  return z.fromJSONSchema(JSON.parse(text) as z.core.JSONSchema.BaseSchema).safeParse(value).success;
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
      ['server-domain', { balance: 'best' }],
      ['server-domain', { clients: { network: [] } }],
      ['server-domain', { secret: 5 }],
      ['agent', { listen: '0.0.0.0:443' }],
      ['agent', { log: { disconnected: true } }],
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
