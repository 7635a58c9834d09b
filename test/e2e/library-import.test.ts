import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { ROOT } from '../support/source-imports.ts';

const FACE = pathToFileURL(join(ROOT, 'src/index.ts')).href;

/** What a module could leave its mark on. */
const PROBE = `
const own = (object) => Reflect.ownKeys(object).map((key) => {
  const { value, get } = Object.getOwnPropertyDescriptor(object, key);
  return [key, value, get];
});
const http = await import('node:http');
const http2 = await import('node:http2');
const net = await import('node:net');
const tls = await import('node:tls');
const { EventEmitter } = await import('node:events');
const { Duplex } = await import('node:stream');
const watched = { globalThis, process, http: http.default, net: net.default, tls: tls.default, http2: http2.default,
  socket: net.Socket.prototype, emitter: EventEmitter.prototype, duplex: Duplex.prototype, object: Object.prototype,
  array: Array.prototype, promise: Promise.prototype, error: Error, headers: Headers.prototype };
const look = () => Object.fromEntries(Object.entries(watched).map(([name, object]) => [name, own(object)]));
const listeners = () => process.eventNames().map((name) => [name, process.listenerCount(name)]);
// What Node itself makes when it is first touched.
void [globalThis.fetch, globalThis.Response, process.report, process.features];
const before = { seen: look(), listeners: listeners(), resources: process.getActiveResourcesInfo() };
await import(process.env.FACE);
await new Promise((resolve) => setImmediate(resolve));
const after = { seen: look(), listeners: listeners(), resources: process.getActiveResourcesInfo() };
const changed = Object.keys(watched).flatMap((name) => {
  const [a, b] = [before.seen[name], after.seen[name]];
  const same = a.length === b.length && a.every(([key, value, get], i) => b[i][0] === key && Object.is(b[i][1], value) && b[i][2] === get);
  return same ? [] : [name + ': ' + b.filter(([key, value], i) => !a.some(([k, v]) => k === key && Object.is(v, value))).map(([key]) => String(key))];
});
process.stdout.write(JSON.stringify({ changed, listeners: [before.listeners, after.listeners], resources: [before.resources, after.resources] }));
`;

test('importing the library opens no handle, prints nothing, listens to nothing and patches nothing', () => {
  const env = { ...process.env, FACE, NODE_OPTIONS: '' };
  const options = { env, encoding: 'utf8', timeout: 60_000 } as const;
  const printed = execFileSync(process.execPath, ['--input-type=module', '-e', PROBE], options);
  const { changed, listeners, resources } = JSON.parse(printed);
  assert.deepEqual(changed, []);
  assert.deepEqual(listeners[1], listeners[0]);
  assert.deepEqual(
    resources[1].filter((name: string) => name !== 'Immediate'),
    resources[0],
  );
});
