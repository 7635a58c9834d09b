import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Secret } from '../../src/core/secret.ts';
import { testAuthority } from '../support/certificates.ts';
import { startEchoTarget } from '../support/echo-target.ts';
import { hear } from '../support/hear.ts';
import { type RunningCli, startCli } from '../support/run-cli.ts';
import { steadyPort } from '../support/steady-port.ts';
import { startServer, type TestServer } from '../support/with-server.ts';
import { within } from '../support/within.ts';

const SECRET = 'a secret of enough bytes';

interface Listed {
  readonly id: string;
  readonly source_port: number;
  readonly type: string;
  readonly status: string;
  readonly message: string;
}

/** A server of this process, and the real agent with its API; what is exposed leads to a service that says `service`. */
class Exposing {
  readonly server: TestServer;
  readonly destination: string;
  readonly #folder: string;
  readonly #api: number;
  #agent: RunningCli;

  private constructor(server: TestServer, destination: string, folder: string, api: number) {
    this.server = server;
    this.destination = destination;
    this.#folder = folder;
    this.#api = api;
    this.#agent = startCli(['agent', '-c', join(folder, 'agent.json5')]);
  }

  static async start(t: TestContext): Promise<Exposing> {
    const target = await startEchoTarget('service');
    assert.ok(target.address.kind === 'tcp');
    const { port: reachable } = target.address;
    const grants = {
      ports: [{ first: 20_000, last: 31_999 }],
      destinations: [{ host: { address: '127.0.0.1', prefix: 32 }, ports: { first: reachable, last: reachable } }],
    };
    const server = await startServer({ domains: [{ name: 'devservice', secrets: [new Secret(SECRET)], grants }] });
    const folder = mkdtempSync(join(tmpdir(), 'backdial-test-'));
    const api = await steadyPort();
    mkdirSync(join(folder, 'domains'));
    const domain = {
      active: true,
      secret: SECRET,
      remote: `127.0.0.1:${server.port}`,
      ca: testAuthority().certFile,
      instance: 'one',
      targets: { target: 'tcp://127.0.0.1:1' },
    };
    writeFileSync(join(folder, 'agent.json5'), JSON.stringify({ api: { listen: `127.0.0.1:${api}` } }));
    writeFileSync(join(folder, 'domains/devservice.json5'), JSON.stringify(domain), { mode: 0o600 });
    const made = new Exposing(server, `127.0.0.1:${reachable}`, folder, api);
    t.after(async () => {
      await made.#agent.end('SIGKILL');
      await server.close();
      target.close();
      rmSync(folder, { recursive: true, force: true });
    });
    await made.#agent.see(/"event":"tunnel-opened"/);
    return made;
  }

  /** `kill -9`, and a new agent. */
  async restart(): Promise<void> {
    await this.#agent.end('SIGKILL');
    this.#agent = startCli(['agent', '-c', join(this.#folder, 'agent.json5')]);
    await this.#agent.see(/"event":"tunnel-opened"/);
  }

  body(sourcePort: number, more: object = {}): object {
    return {
      name: 'a service',
      source_port: sourcePort,
      remote_connector_addr: `127.0.0.1:${this.server.port}`,
      destination_addr: this.destination,
      type: 'local',
      ...more,
    };
  }

  async ask(method: string, path: string, body?: unknown, headers = {}): Promise<{ status: number; text: string }> {
    const init = body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) };
    const response = await fetch(`http://127.0.0.1:${this.#api}${path}`, { method, headers, ...init });
    return { status: response.status, text: await response.text() };
  }

  async list(): Promise<Listed[]> {
    return JSON.parse((await this.ask('GET', '/list')).text) as Listed[];
  }

  /** Waits until the exposure has the status. */
  async until(id: string, status: string): Promise<Listed> {
    const given = AbortSignal.timeout(60_000);
    for (;;) {
      const found = (await this.list()).find((each) => each.id === id);
      if (found?.status === status) return found;
      if (given.aborted) throw new Error(`not ${status}: ${JSON.stringify(found)}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

test('a local exposure opens a port at the server, survives a kill of the agent, and ends when it is deleted', async (t) => {
  const exposing = await Exposing.start(t);
  const port = await steadyPort();
  const { status, text: id } = await exposing.ask('POST', '/expose', exposing.body(port));
  assert.equal(status, 200);
  const listed = await exposing.until(id, 'COMPLETE');
  assert.deepEqual({ ...listed }, { id, ...exposing.body(port), type: 'LOCAL', status: 'COMPLETE', message: '' });
  assert.equal(await hear(port), 'service');
  await exposing.restart();
  await exposing.until(id, 'COMPLETE');
  assert.equal(await hear(port), 'service');
  assert.equal((await exposing.ask('DELETE', `/expose/${id}`)).status, 200);
  assert.equal(await hear(port), null);
  assert.deepEqual(await exposing.list(), []);
  assert.equal((await exposing.ask('DELETE', `/expose/${id}`)).status, 404);
});

test('what cannot be exposed is refused with the field, or shown as an error that says why', async (t) => {
  const exposing = await Exposing.start(t);
  const port = await steadyPort();
  assert.equal((await exposing.ask('POST', '/expose', '{')).status, 400);
  for (const [field, value] of [
    ['source_port', 0],
    ['destination_addr', 'nowhere'],
    ['remote_connector_addr', '127.0.0.1:1'],
    ['type', 'both'],
    ['name', ''],
  ] as const) {
    const answer = await exposing.ask('POST', '/expose', exposing.body(port, { [field]: value }));
    assert.equal(answer.status, 422, field);
    assert.match(answer.text, new RegExp(`"field":"${field}"`));
  }
  const first = await exposing.ask('POST', '/expose', exposing.body(port));
  assert.equal(first.status, 200);
  const again = await exposing.ask('POST', '/expose', exposing.body(port));
  assert.equal(again.status, 409);
  assert.match(again.text, /exposed already/);
  const { text: denied } = await exposing.ask('POST', '/expose', exposing.body(80));
  const shown = await exposing.until(denied, 'ERROR');
  assert.match(shown.message, /no grant of `ports` allows 80 to domain devservice/);
  await exposing.until(first.text, 'COMPLETE');
});

test('a remote exposure whose port is taken on this machine is refused with 409', async (t) => {
  const exposing = await Exposing.start(t);
  const taken = net.createServer();
  t.after(() => taken.close());
  taken.listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const { port } = taken.address() as net.AddressInfo;
  const answer = await exposing.ask('POST', '/expose', exposing.body(port, { type: 'remote' }));
  assert.equal(answer.status, 409);
  assert.deepEqual(await exposing.list(), []);
});

test('pages of other sites may not ask; the OpenAPI document has the endpoints and their statuses', async (t) => {
  const exposing = await Exposing.start(t);
  const port = await steadyPort();
  const from = { Origin: 'https://evil.example' };
  assert.equal((await exposing.ask('POST', '/expose', exposing.body(port), from)).status, 403);
  assert.deepEqual(await exposing.list(), []);
  const { openapi, paths } = JSON.parse((await exposing.ask('GET', '/openapi.json')).text);
  assert.equal(openapi, '3.1.0');
  const statuses = (operation: { responses: object }) => Object.keys(operation.responses);
  const missing = ['200', '400', '403', '409', '422'].filter((each) => !statuses(paths['/expose'].post).includes(each));
  assert.deepEqual(missing, []);
  assert.deepEqual(
    ['200', '404'].filter((each) => !statuses(paths['/expose/{id}'].delete).includes(each)),
    [],
  );
  assert.ok(paths['/list'].get !== undefined && paths['/health'].get !== undefined);
});

test('a remote exposure listens here and leads to what the server dials, as far as a grant allows', async (t) => {
  const exposing = await Exposing.start(t);
  const [port, other] = [await steadyPort(), await steadyPort()];
  const { text: id } = await exposing.ask('POST', '/expose', exposing.body(port, { type: 'remote' }));
  await exposing.until(id, 'COMPLETE');
  const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  t.after(() => socket.destroy());
  let heard = '';
  socket.setEncoding('utf8').on('data', (text: string) => {
    heard += text;
  });
  // What is sent at once arrives, and the answer to a half-close does, too.
  socket.end(' and back');
  await within('the end', once(socket, 'end'));
  assert.equal(heard, 'service and back');

  const forbidden = exposing.body(other, { type: 'remote', destination_addr: '127.0.0.1:1' });
  const { text: denied } = await exposing.ask('POST', '/expose', forbidden);
  await exposing.until(denied, 'COMPLETE');
  assert.equal(await hear(other), null);
  const shown = await exposing.until(denied, 'ERROR');
  assert.match(shown.message, /the server did not open the connection/);
  assert.equal(await hear(port), 'service');
});
