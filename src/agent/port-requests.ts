import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { asBackdialError, BackdialError } from '../core/errors.ts';
import { VERSION } from '../core/version.ts';
import { authorizationOf } from './authorization.ts';
import { dialServer, type ServerRoute } from './dial-server.ts';
import type { ResolvedAgentDomain } from './resolve-options.ts';

/** Longest text of an answer that is read. */
const MAX_TEXT_BYTES = 1_000;

/**
 * Plain requests to the service path of one server address (design 3.2), over one kept-alive connection at a time: an
 * agent may have a thousand ports to ask for.
 */
export class PortRequests {
  readonly #route: ServerRoute;
  readonly #domain: ResolvedAgentDomain;
  readonly #timeoutMs: number;
  readonly #connections: Agent;
  readonly #stopped = new AbortController();

  /** `timeoutMs`: of a dial, and of each request on it. */
  constructor(route: ServerRoute, domain: ResolvedAgentDomain, timeoutMs: number) {
    this.#route = route;
    this.#domain = domain;
    this.#timeoutMs = timeoutMs;
    this.#connections = new Agent({ keepAlive: true, maxSockets: 1 });
    this.#connections.createConnection = (_options, onCreate) => {
      dialServer(route, domain.trust, { timeoutMs, signal: this.#stopped.signal, proof: domain.proof }).then(
        (socket) => onCreate?.(null, socket),
        (error: Error) => onCreate?.(error, undefined as unknown as Duplex),
      );
      return undefined;
    };
  }

  /** Opens the port, or makes sure that it is open. Fails with `port-refused`, `port-taken`, or as a dial does. */
  async open(port: number): Promise<void> {
    const { status, text } = await this.#send('PUT', port);
    if (status === 201 || status === 200) return;
    if (status === 403) throw new BackdialError('port-refused', text);
    if (status === 409) throw new BackdialError('port-taken', text);
    throw new BackdialError('handshake-refused', `${this.#route.remote.label} answered ${status} to PUT ports/${port}`);
  }

  /** Closes the port. Where that fails it ends with the last tunnel of the instance. */
  async close(port: number): Promise<void> {
    await this.#send('DELETE', port);
  }

  /** Ends the connection; what is under way fails with `dial-aborted`. */
  stop(): void {
    this.#stopped.abort(new BackdialError('dial-aborted'));
    this.#connections.destroy();
  }

  async #send(method: 'PUT' | 'DELETE', port: number): Promise<{ status: number; text: string }> {
    try {
      return await this.#sendOnce(method, port);
    } catch (error) {
      // A kept connection may have been closed by the server just then; asking twice does no harm.
      if (!(error instanceof ReusedConnectionError)) throw error;
      return this.#sendOnce(method, port);
    }
  }

  #sendOnce(method: 'PUT' | 'DELETE', port: number): Promise<{ status: number; text: string }> {
    const { service, name, instance } = this.#domain;
    const authorization = authorizationOf(this.#domain);
    return new Promise((resolve, reject) => {
      const request = httpRequest({
        agent: this.#connections,
        method,
        path: `${service}/ports/${port}`,
        setHost: false,
        signal: this.#stopped.signal,
        headers: [
          ...['Host', this.#route.remote.label.replace(/:443$/, '')],
          // Header values travel as latin1; this way the bytes on the wire are the secret's UTF-8.
          ...(authorization === null ? [] : ['Authorization', Buffer.from(authorization, 'utf8').toString('latin1')]),
          ...['Backdial-Domain', name, 'Backdial-Instance', instance],
          ...['User-Agent', `backdial/${VERSION}`, 'Content-Length', '0'],
        ],
      });
      const deadline = setTimeout(() => {
        const detail = `no answer from ${this.#route.remote.label} in ${this.#timeoutMs} ms`;
        request.destroy(new BackdialError('handshake-timeout', detail));
      }, 2 * this.#timeoutMs);
      request.on('close', () => clearTimeout(deadline));
      request.on('error', (error) => {
        if (request.reusedSocket && !(error instanceof BackdialError)) reject(new ReusedConnectionError());
        else reject(asBackdialError(error, 'server-unreachable'));
      });
      request.on('response', (response) => {
        textOf(response).then(
          (text) => resolve({ status: response.statusCode ?? 0, text }),
          (error: unknown) => reject(asBackdialError(error, 'server-unreachable')),
        );
      });
      request.end();
    });
  }
}

class ReusedConnectionError extends Error {}

async function textOf(response: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) {
    if (text.length < MAX_TEXT_BYTES) text += chunk;
  }
  // The status, in words, is the first line.
  return text.slice(text.indexOf('\n') + 1, MAX_TEXT_BYTES).trim();
}
