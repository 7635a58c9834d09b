import type { Socket } from 'node:net';
import { asBackdialError, BackdialError } from '../core/errors.ts';
import { isTaken, type Listener, listenOn } from '../net/listen.ts';
import { ListenerGroup } from '../net/listener-group.ts';
import { splice } from '../net/splice.ts';
import type { PortState } from './port-claimer.ts';

/** Opens a byte stream to the destination. Fails with a BackdialError. */
type Dial = (signal: AbortSignal) => Promise<Socket>;

/** Only programs of this machine may use what a server was told to reach for this agent. */
const HOST = '127.0.0.1';
/** Starts when the port could not be opened; ends with the next attempt. */
const RETRY_MS = 5_000;

/** A local port whose connections are joined to a destination that the server dials. */
export class RemotePort {
  /** Settles with the first attempt to listen; rejects with `port-taken` or `listen-failed`. */
  readonly listening: Promise<void>;
  readonly #port: number;
  readonly #dial: Dial;
  readonly #sockets = new ListenerGroup();
  #listener: Listener | null = null;
  #state: PortState = { kind: 'pending' };
  #retry: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(port: number, dial: Dial) {
    this.#port = port;
    this.#dial = dial;
    this.listening = this.#listen();
    this.listening.catch(() => {});
  }

  /** `failed` also where it listens, and the last connection did not reach its destination. */
  get state(): PortState {
    return this.#state;
  }

  /** Stops listening at once; what is open lives on, or is reset with `cut`. Resolves when nothing is left. */
  async close(cut: boolean): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#retry);
    await this.listening.catch(() => {});
    await (cut ? this.#sockets.close((socket) => socket.resetAndDestroy()) : this.#sockets.drained());
  }

  async #listen(): Promise<void> {
    try {
      const listener = await listenOn(
        { host: HOST, port: this.#port },
        { allowHalfOpen: true, onSocket: (socket) => this.#listenerOnSocket(socket) },
      );
      this.#sockets.addListener(listener);
      if (this.#closed) listener.stop();
      this.#listener = listener;
      this.#state = { kind: 'open' };
    } catch (thrown) {
      const error = isTaken(thrown)
        ? new BackdialError('port-taken', `${HOST}:${this.#port} by another process`, { cause: thrown })
        : asBackdialError(thrown, 'listen-failed');
      this.#state = { kind: 'failed', error };
      if (!this.#closed) this.#retry = setTimeout(() => void this.#listen().catch(() => {}), RETRY_MS).unref();
      throw error;
    }
  }

  #listenerOnSocket(socket: Socket): void {
    this.#sockets.addSocket(socket);
    void this.#join(socket);
  }

  /** Never rejects. Nothing of the socket is read until there is somewhere to put it. */
  async #join(socket: Socket): Promise<void> {
    const gone = new AbortController();
    const socketOnClose = (): void => gone.abort();
    socket.once('close', socketOnClose);
    try {
      const stream = await this.#dial(gone.signal);
      if (this.#listener !== null) this.#state = { kind: 'open' };
      await splice(socket, stream);
    } catch (thrown) {
      if (!gone.signal.aborted) this.#state = { kind: 'failed', error: asBackdialError(thrown, 'internal') };
      socket.resetAndDestroy();
    } finally {
      socket.off('close', socketOnClose);
    }
  }
}
