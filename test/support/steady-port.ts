import { createServer } from 'node:net';

/** Below the range from which Linux takes the ports of outgoing connections: a port that is given up stays free. */
const FIRST_PORT = 20_000;
const PORT_RANGE = 12_000;

/** A free port of the loopback address that nothing takes by chance while its owner is started, or started again. */
export async function steadyPort(): Promise<number> {
  for (;;) {
    const port = FIRST_PORT + Math.floor(Math.random() * PORT_RANGE);
    if (await isFree(port)) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.on('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
