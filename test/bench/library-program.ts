import { once } from 'node:events';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import { createServer, Secret } from '../../src/index.ts';
import { pinOf } from '../../src/net/pin.ts';
import { testCertificate } from '../support/certificates.ts';
import { DOMAIN, type LibraryFigures, type LibraryGreeting, type LibraryOrder, SECRET } from './library-words.ts';

/** Dials one after the other, for the time that one takes. */
const ALONE = 400;
/** Dials that are under way at the same time, for how many there are. */
const TOGETHER = 64;
const COUNT = 8_000;

const { cert, key } = testCertificate();
const server = createServer({
  listen: [{ host: '127.0.0.1', port: 0 }],
  certificates: [{ hosts: ['*'], cert, key }],
  domains: [{ name: DOMAIN, secrets: [new Secret(SECRET)] }],
});
const [address] = (await server.listen()).frontDoor;
if (address === undefined || !('port' in address)) throw new Error('not listening on a TCP port');
process.send?.({ port: address.port, pin: pinOf(cert) } satisfies LibraryGreeting);
process.on('message', (order: LibraryOrder) => void measure(order).then((figures) => process.send?.(figures)));
process.on('disconnect', () => process.exit());

async function measure({ targetPort }: LibraryOrder): Promise<LibraryFigures> {
  const bare = () => firstByte(net.connect({ host: '127.0.0.1', port: targetPort, noDelay: true }));
  const dialled = async () => firstByte(await server.dial(DOMAIN));
  await together(dialled, TOGETHER, COUNT / 8);
  const bareMs: number[] = [];
  const dialMs: number[] = [];
  const roundTrips: number[] = [];
  // The agent says no without asking anybody: there and back, and nothing else.
  const refused = () =>
    server.dial(`${DOMAIN}:9`).then(
      () => {},
      () => {},
    );
  // In turn, so that what else the machine does meets both.
  for (let round = 0; round < ALONE; round += 1) {
    bareMs.push(await timeOf(bare));
    dialMs.push(await timeOf(dialled));
    roundTrips.push(await timeOf(refused));
  }
  const before = process.cpuUsage();
  await together(dialled, TOGETHER, COUNT);
  const { user, system } = process.cpuUsage(before);
  return {
    bareMs: median(bareMs),
    dialMs: median(dialMs),
    roundTripMs: median(roundTrips),
    dialsACore: COUNT / ((user + system) / 1e6),
  };
}

async function firstByte(stream: Duplex): Promise<void> {
  stream.on('error', () => {});
  await once(stream, 'data');
  stream.destroy(new Error('enough'));
}

async function timeOf(action: () => Promise<void>): Promise<number> {
  const began = performance.now();
  await action();
  return performance.now() - began;
}

async function together(action: () => Promise<void>, width: number, count: number): Promise<void> {
  let left = count;
  const worker = async (): Promise<void> => {
    for (; left > 0; left -= 1) await action();
  };
  await Promise.all(Array.from({ length: width }, worker));
}

function median(values: number[]): number {
  return values.sort((one, other) => one - other)[Math.floor(values.length / 2)] ?? Number.NaN;
}
