import type { Socket } from 'node:net';
import { parseListen, unixHint } from '../config/addresses.ts';
import { formatAddress, type SocketAddress } from '../core/address.ts';
import { asBackdialError, BackdialError } from '../core/errors.ts';
import { listenOn } from '../net/listen.ts';
import { ListenerGroup } from '../net/listener-group.ts';
import { splice } from '../net/splice.ts';
import { type ConnectDialer, connectDialer, refusalHelp } from './connect-dialer.ts';
import { parseConnectName } from './connect-name.ts';
import type { QuickArguments } from './quick-flags.ts';
import { drainOnSignal, watchSignals } from './signals.ts';
import { stdioStream } from './stdio.ts';

/** How long a connection that was accepted here waits for a server or an agent that is restarting. */
const PATIENCE_MS = 10_000;
/** How long connections to the local listener may go on after the first signal: as long as those of a server or an agent. */
const DRAIN_MS = 30_000;

/** What the command line gave. */
export interface ConnectArguments extends QuickArguments {
  readonly name?: string;
  readonly listen?: string;
}

/**
 * Joins a name behind a server to a local listener until a signal, or to standard input and output until both ended. Fails
 * with `usage`, `input-invalid`, `listen-failed`; without a listener also as the dial does (exit 4), and with `agent-lost`
 * where the stream was cut.
 */
export async function runConnect(flags: ConnectArguments): Promise<void> {
  const { authority } = parseConnectName(flags.name ?? '');
  const at = flags.listen === undefined ? null : parseAddress(flags.listen);
  const dialer = connectDialer(authority, flags, { env: process.env });
  const say = (text: string) => {
    if ((flags.quiet ?? 0) === 0) process.stderr.write(`backdial: ${text}\n`);
  };
  for (const warning of dialer.warnings) say(warning);
  if (at === null) await joinStdio(dialer);
  else await serveListener(dialer, at, say);
}

async function joinStdio(dialer: ConnectDialer): Promise<void> {
  const signals = watchSignals();
  const over = new AbortController();
  const { signal } = over;
  void signals.stop.then(() => over.abort());
  let socket: Socket;
  try {
    socket = await dialer.dial({ patienceMs: 0, signal });
  } catch (thrown) {
    if (signal.aborted) return;
    throw explained(asBackdialError(thrown, 'internal'), dialer);
  }
  const { end, error } = await splice(stdioStream(), socket, { signal });
  if (end === 'b-reset')
    throw new BackdialError('agent-lost', `${dialer.authority}: ${error?.message}`, { cause: error });
}

async function serveListener(dialer: ConnectDialer, at: SocketAddress, say: (text: string) => void): Promise<void> {
  const signals = watchSignals();
  const sockets = new ListenerGroup();
  const onSocket = (socket: Socket): void => {
    sockets.addSocket(socket);
    void join(dialer, socket, say);
  };
  const listener = await listenOn(at, { allowHalfOpen: true, onSocket });
  sockets.addListener(listener);
  say(`${formatAddress(listener.address)} leads to ${dialer.authority} through ${dialer.server}; Ctrl-C ends it`);
  const close = ({ drainMs = DRAIN_MS } = {}) => sockets.drain(drainMs, (socket) => socket.resetAndDestroy());
  await drainOnSignal(signals, close);
}

/** Never rejects. Nothing of the socket is read until there is somewhere to put it. */
async function join(dialer: ConnectDialer, socket: Socket, say: (text: string) => void): Promise<void> {
  const gone = new AbortController();
  const { signal } = gone;
  const socketOnClose = (): void => gone.abort();
  socket.once('close', socketOnClose);
  try {
    const stream = await dialer.dial({ patienceMs: PATIENCE_MS, signal });
    await splice(socket, stream);
  } catch (thrown) {
    if (!signal.aborted) say(explained(asBackdialError(thrown, 'internal'), dialer).message);
    socket.resetAndDestroy();
  } finally {
    socket.off('close', socketOnClose);
  }
}

/** The error with what its user can do. */
function explained(error: BackdialError, dialer: ConnectDialer): BackdialError {
  const help = refusalHelp(error, dialer);
  return help === null ? error : new BackdialError(error.code, `${error.detail}\n${help}`, { cause: error });
}

/** A port alone is for programs of this machine. */
function parseAddress(text: string): SocketAddress {
  const bare = /^\d{1,5}$/.test(text) ? `127.0.0.1:${text}` : text;
  const [address] = parseListen(bare, process.cwd()) ?? [];
  if (address !== undefined) return address;
  throw new BackdialError(
    'input-invalid',
    `--listen ${JSON.stringify(text)}; allowed: PORT, HOST:PORT or unix:/path${unixHint(text)}`,
  );
}
