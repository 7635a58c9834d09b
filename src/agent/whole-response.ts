import type { ServerResponse } from 'node:http';

/**
 * Has a response be as long as its Content-Length says, or be cut; `onMismatch` is told why. Node sends what it is given, and whoever
 * waits for the rest would wait for ever on a stream that no idle timer ends.
 */
export function keepWhole(response: ServerResponse, onMismatch: (error: Error) => void): void {
  // Makes Node throw at the write that is too much and at the end that is too early. Nobody may be there to catch it.
  response.strictContentLength = true;
  const { write, end } = response as { write(...given: unknown[]): boolean; end(...given: unknown[]): ServerResponse };
  const orCut = <T>(action: () => T): T | null => {
    try {
      return action();
    } catch (error) {
      if (!isMismatch(error)) throw error;
      if (response.destroyed) return null;
      onMismatch(error);
      response.destroy(error);
      return null;
    }
  };
  response.write = (...given: unknown[]) => orCut(() => write.apply(response, given)) ?? false;
  response.end = (...given: unknown[]) => {
    orCut(() => end.apply(response, given));
    return response;
  };
}

function isMismatch(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && error.code === 'ERR_HTTP_CONTENT_LENGTH_MISMATCH';
}
