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

/**
 * What comes through standard input until its end, without a newline at the end. What is beyond `maxBytes` is not read; the text is
 * longer than this then. To be called once. Rejects with the platform's error.
 */
export async function readPipedText(maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > maxBytes + '\r\n'.length) break;
  }
  return Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '');
}
