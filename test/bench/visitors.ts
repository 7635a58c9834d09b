import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { DOMAIN } from './backdial.ts';

/** How many connections are opened at the same time: below what a listener keeps waiting. */
const BATCH = 50;
/** Bytes of one read or write; one buffer is used for all. */
const READ_BYTES = 256 * 1024;
/** Starts with each byte of a download; ends one that stands still. */
const STALL_MS = 20_000;
const STATUS = 'HTTP/1.1 200';

/** Opens kept-alive visitors; each has had one answer of `answerBytes` when this resolves. */
export async function openVisitors(port: number, count: number, answerBytes: number): Promise<Socket[]> {
  const sockets: Socket[] = [];
  while (sockets.length < count) {
    const size = Math.min(BATCH, count - sockets.length);
    sockets.push(...(await Promise.all(Array.from({ length: size }, () => openVisitor(port, answerBytes)))));
  }
  return sockets;
}

async function openVisitor(port: number, answerBytes: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  await once(socket, 'connect');
  socket.write(requestFor('/'));
  let text = '';
  for (;;) {
    const [chunk] = await Promise.race([
      once(socket, 'data'),
      once(socket, 'close').then(() => Promise.reject(new Error('a visitor got no answer'))),
    ]);
    text += (chunk as Buffer).toString('latin1');
    const end = text.indexOf('\r\n\r\n');
    if (end !== -1 && text.length - end - 4 >= answerBytes) return socket;
  }
}

/** A visitor who asks for `/bulk` and never reads. */
export async function openStalledReader(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  socket.pause();
  await once(socket, 'connect');
  socket.write(requestFor('/bulk'));
  return socket;
}

/** Downloads `/bulk` as fast as it comes; resolves with its size, head not counted, when all of it was read. */
export function download(port: number, expectedBytes: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let received = 0;
    let head = '';
    const onread = {
      buffer: new Uint8Array(READ_BYTES),
      callback(bytes: number, buffer: Uint8Array): boolean {
        if (!head.includes('\r\n\r\n')) {
          head += Buffer.from(buffer.buffer, 0, bytes).toString('latin1');
          received = head.length - head.indexOf('\r\n\r\n') - 4;
        } else {
          received += bytes;
        }
        if (head.includes('\r\n\r\n') && received >= expectedBytes) socket.end();
        if (head.length >= STATUS.length && !head.startsWith(STATUS))
          socket.destroy(new Error(`an answer other than 200: ${head}`));
        return true;
      },
    };
    const socket = connect({ port, host: '127.0.0.1', onread }, () => socket.write(requestFor('/bulk')));
    socket.on('error', reject);
    socket.setTimeout(STALL_MS, () => socket.destroy(new Error(`a download stood still after ${received} bytes`)));
    socket.on('close', () => {
      if (received === expectedBytes) resolve();
      else reject(new Error(`a download ended after ${received} of ${expectedBytes} bytes`));
    });
  });
}

/** Uploads so many zeros to `/upload`; resolves when the target has taken all of them. */
export function upload(port: number, bytes: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let left = bytes;
    let answers = '';
    const socket = connect(port, '127.0.0.1', () => {
      socket.write(`POST /upload HTTP/1.1\r\nHost: ${DOMAIN}\r\nContent-Length: ${bytes}\r\n\r\n`);
      socketOnDrain();
    });
    const socketOnDrain = (): void => {
      for (let room = true; room && left > 0; ) {
        const size = Math.min(left, ZEROS.length);
        left -= size;
        room = socket.write(ZEROS.subarray(0, size));
        // The target looks at it once the body is over: its answer says that all of that came.
        if (left === 0) socket.write(`GET / HTTP/1.1\r\nHost: ${DOMAIN}\r\nConnection: close\r\n\r\n`);
      }
    };
    socket.on('drain', socketOnDrain);
    socket.on('data', (chunk: Buffer) => {
      answers += chunk.toString('latin1');
    });
    socket.on('error', reject);
    socket.setTimeout(STALL_MS, () => socket.destroy(new Error(`an upload stood still, ${left} bytes left`)));
    socket.on('close', () => {
      if (left === 0 && answers.match(/^HTTP\/1\.1 200/gm)?.length === 2) resolve();
      else reject(new Error(`an upload ended with ${left} bytes left: ${answers.slice(0, 200)}`));
    });
  });
}

const ZEROS = Buffer.alloc(READ_BYTES);

function requestFor(path: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: ${DOMAIN}\r\n\r\n`;
}
