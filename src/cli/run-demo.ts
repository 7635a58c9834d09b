import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BackdialError } from '../core/errors.ts';
import { VERSION } from '../core/version.ts';
import { createAgent, createServer, type Observer, Secret, type Server } from '../index.ts';
import { pinOf } from '../net/pin.ts';
import { makeSelfSigned } from '../pki/self-signed.ts';
import { type LevelFlags, logLevel } from './log-level.ts';
import { createQuickView, type QuickView } from './quick-view.ts';
import { type SampleService, startSampleService } from './sample-service.ts';
import { drainOnSignal, watchSignals } from './signals.ts';
import { terminalColumns, wantsColors } from './terminal.ts';

/** Names under `.localhost` are this machine for browsers and curl (RFC 6761). */
const DOMAIN = 'demo.localhost';
/** Easy to remember; any free port where it is taken. */
const FRIENDLY_PORT = 8443;

/**
 * Runs a server, an agent and a service in this process, on loopback, until a signal. Without `port` it is a friendly one, or
 * any free one where that is taken. Fails with `usage` and `listen-failed`.
 */
export async function runDemo(port: number | undefined, flags: LevelFlags): Promise<void> {
  if (port !== undefined && (!Number.isInteger(port) || port < 0 || port > 65_535)) {
    throw new BackdialError('usage', '--port must be 0 to 65535');
  }
  const signals = watchSignals();
  const view = createQuickView({
    write: (text) => process.stdout.write(text),
    columns: () => terminalColumns(120),
    colors: wantsColors(),
    level: logLevel('info', flags, process.env.BACKDIAL_LOG_LEVEL),
  });
  await using stack = new AsyncDisposableStack();
  const service = await startSampleService();
  stack.defer(() => service.close());
  const { cert, key } = await makeSelfSigned({ hosts: [DOMAIN], days: 7 });
  const folder = await mkdtemp(join(tmpdir(), 'backdial-demo-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const caFile = join(folder, 'ca.pem');
  await writeFile(caFile, cert);
  const secret = new Secret(randomBytes(24).toString('base64url'));
  const { server, port: bound } = await listen({ cert, key, secret, observer: accessOnly(view) }, port);
  stack.defer(() => server.close({ drainMs: 0 }));
  const agent = createAgent({
    domains: [
      {
        name: DOMAIN,
        secret,
        remote: [`127.0.0.1:${bound}`],
        pin: pinOf(cert),
        target: { kind: 'tcp', host: '127.0.0.1', port: service.port },
      },
    ],
    observer: tunnelsOnly(view),
  });
  stack.defer(() => agent.close({ drainMs: 0 }));
  introduce(view, service);
  agent.start();
  await Promise.race([agent.ready, signals.stop]);
  invite(view, bound, caFile);
  await drainOnSignal(signals, (options) => Promise.all([agent.close(options), server.close(options)]));
  view.print('ended');
}

interface DemoServer {
  readonly cert: string;
  readonly key: string;
  readonly secret: Secret;
  readonly observer: Observer;
}

async function listen(demo: DemoServer, port: number | undefined): Promise<{ server: Server; port: number }> {
  const server = createServer({
    listen: [{ host: '127.0.0.1', port: port ?? FRIENDLY_PORT }],
    // The agent dials an IP address, so it names no host.
    certificates: [{ hosts: ['*'], cert: demo.cert, key: demo.key }],
    domains: [{ name: DOMAIN, secrets: [demo.secret] }],
    observer: demo.observer,
  });
  try {
    const [address] = (await server.listen()).frontDoor;
    return { server, port: address !== undefined && 'port' in address ? address.port : 0 };
  } catch (error) {
    const taken = error instanceof BackdialError && error.code === 'listen-failed';
    if (!taken || port !== undefined) throw error;
    return listen(demo, 0);
  }
}

/** Server and agent run in one process: each says what the other does not. */
function accessOnly(view: QuickView): Observer {
  return (event) => {
    if (event.type === 'access' || event.type === 'warning') view.observer(event);
  };
}

function tunnelsOnly(view: QuickView): Observer {
  return (event) => {
    if (event.type !== 'access') view.observer(event);
  };
}

function introduce(view: QuickView, service: SampleService): void {
  view.print(`backdial ${VERSION}: a server, an agent and a sample service, all on loopback\n`);
  view.print(`  visitor -> server -> tunnel -> agent -> sample service (127.0.0.1:${service.port})\n`);
}

function invite(view: QuickView, port: number, caFile: string): void {
  const url = `https://${DOMAIN}:${port}/`;
  view.print(`\n  URL   ${url}`);
  view.print('        (a browser will warn: the certificate was made a second ago)\n');
  view.print(`  curl --noproxy '*' --resolve ${DOMAIN}:${port}:127.0.0.1 --cacert ${shellQuote(caFile)} ${url}\n`);
  view.print('  Press Ctrl-C to end it. Each request shows below.\n');
}

function shellQuote(text: string): string {
  return /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
