import { connect as connectHttp2, type Http2Session, performServerHandshake } from 'node:http2';
import { connect, createServer, type TLSSocket } from 'node:tls';

/** What a bare program is to be: the side that pings, or the tunnels of the other one. */
export type BareOrder =
  | { readonly role: 'server'; readonly cert: string; readonly key: string; readonly pingIntervalMs: number }
  | { readonly role: 'agents'; readonly port: number; readonly tunnels: number };

/** As many groups as ours: each would wake the process alone. */
const TURNS = 10;

// The yardstick of idle tunnels: what Node itself takes for TLS connections that were turned around, each pinged as ours are. No
// handshake of ours, no books, no deadlines, no metrics. The server says at which port it listens, agents that all are open.
process.once('message', (order: BareOrder) => {
  if (order.role === 'server') listen(order);
  else void openAll(order);
});
process.on('disconnect', () => process.exit());

function listen({ cert, key, pingIntervalMs }: Extract<BareOrder, { role: 'server' }>): void {
  const sessions: Http2Session[] = [];
  const server = createServer({ cert, key }, (socket) => {
    socket.on('error', giveUp);
    turnAround(socket, 'accepted', () => {
      const session = connectHttp2('http://agent', { createConnection: () => socket });
      session.on('error', giveUp);
      sessions.push(session);
    });
  });
  server.listen(0, '127.0.0.1', () => process.send?.((server.address() as { port: number }).port));
  let turn = 0;
  setInterval(() => {
    turn = (turn + 1) % TURNS;
    const [from, to] = [turn, turn + 1].map((at) => Math.floor((at * sessions.length) / TURNS));
    for (const session of sessions.slice(from, to)) session.ping(() => {});
  }, pingIntervalMs / TURNS);
}

/** The last bytes that are no HTTP/2: the other side's word, and the answer to it. */
function turnAround(socket: TLSSocket, word: string, then: () => void): void {
  socket.once('data', () => {
    socket.pause();
    if (word === '') then();
    else socket.write(word, then);
  });
}

async function openAll({ port, tunnels }: Extract<BareOrder, { role: 'agents' }>): Promise<void> {
  for (let opened = 0; opened < tunnels; opened += 1) {
    await new Promise<void>((resolve) => {
      const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false }, () => socket.write('hello'));
      socket.on('error', giveUp);
      turnAround(socket, '', () => {
        performServerHandshake(socket).on('error', giveUp);
        resolve();
      });
    });
  }
  process.send?.('all are open');
}

function giveUp(error: Error): void {
  console.error(error);
  process.exit(1);
}
