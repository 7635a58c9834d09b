import { type IncomingMessage, ServerResponse } from 'node:http';

/**
 * A response that is as long as its Content-Length says, or cut. Node sends what it is given; whoever waits for the rest would wait
 * for ever on a stream that no idle timer ends.
 */
export class WholeResponse<Request extends IncomingMessage = IncomingMessage> extends ServerResponse<Request> {
  /** Makes Node throw at the write that is too much and at the end that is too early. Nobody may be there to catch it. */
  override strictContentLength = true;
  /** Told why it was cut. */
  onMismatch: (error: Error) => void = () => {};

  override write(...given: unknown[]): boolean {
    return this.#orCut(() => super.write(...(given as Parameters<ServerResponse['write']>))) ?? false;
  }

  override end(...given: unknown[]): this {
    this.#orCut(() => super.end(...(given as Parameters<ServerResponse['end']>)));
    return this;
  }

  #orCut<T>(action: () => T): T | null {
    try {
      return action();
    } catch (error) {
      if (!isMismatch(error)) throw error;
      if (this.destroyed) return null;
      this.onMismatch(error);
      this.destroy(error);
      return null;
    }
  }
}

function isMismatch(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && error.code === 'ERR_HTTP_CONTENT_LENGTH_MISMATCH';
}
