import { closeSync, fstatSync } from 'node:fs';
import { Duplex } from 'node:stream';

/**
 * Standard input and output as one byte stream: half-close passes both ways, so whoever reads the output sees its end while
 * input still comes. To be made once.
 */
export function stdioStream(): Duplex {
  const { stdin, stdout } = process;
  const duplex = new Duplex({
    allowHalfOpen: true,
    read: () => void stdin.resume(),
    write: (chunk: Buffer, _encoding, callback) => void stdout.write(chunk, callback),
    final: (callback) =>
      void stdout.write('', () => {
        endOutput();
        callback();
      }),
    destroy: (error, callback) => {
      stdin.destroy();
      callback(error);
    },
  });
  stdin.on('data', (chunk) => {
    if (!duplex.push(chunk)) stdin.pause();
  });
  stdin.on('end', () => duplex.push(null));
  for (const side of [stdin, stdout]) side.on('error', (error) => duplex.destroy(error));
  return duplex;
}

const OUTPUT_FD = 1;

/** Node never closes standard output; the reader of a pipe or a socket would wait for the end of the process. */
function endOutput(): void {
  try {
    const at = fstatSync(OUTPUT_FD);
    if (at.isFIFO() || at.isSocket()) closeSync(OUTPUT_FD);
  } catch {
    // It is closed already.
  }
}
