import { fstatSync } from 'node:fs';

const INPUT_FD = 0;

/** Whether somebody may have put something into standard input: a pipe, a socket or a file, but neither a terminal nor /dev/null. */
export function isInputPiped(): boolean {
  try {
    const at = fstatSync(INPUT_FD);
    return at.isFIFO() || at.isSocket() || at.isFile();
  } catch {
    // It is closed.
    return false;
  }
}

export interface PipedTextOptions {
  /** What is beyond is not read; the text is longer than this then. */
  readonly maxBytes: number;
  /** How long is waited for the first byte, ms; null: for ever. Programs are often given a pipe into which nothing ever comes. */
  readonly patienceMs: number | null;
}

/**
 * What comes through standard input until its end, without a newline at the end; null where not even a first byte came in time. To be
 * called once. Rejects with the platform's error.
 */
export function readPipedText({ maxBytes, patienceMs }: PipedTextOptions): Promise<string | null> {
  const { stdin } = process;
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const settle = (): void => {
      clearTimeout(deadline);
      stdin.pause();
      resolve(
        Buffer.concat(chunks)
          .toString('utf8')
          .replace(/\r?\n$/, ''),
      );
    };
    const deadline = patienceMs === null ? undefined : setTimeout(() => resolve(null), patienceMs);
    stdin.on('error', reject).on('end', settle);
    stdin.on('data', (chunk: Buffer) => {
      clearTimeout(deadline);
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > maxBytes + '\r\n'.length) settle();
    });
  });
}
