import assert from 'node:assert/strict';
import { CURL_DONE, CurlTransfer } from './curl-transfer.ts';
import type { Deployment } from './deployment.ts';
import { connectPeer, type Peer } from './raw-target.ts';
import { BODY_BYTES, type StopAt, targetBody } from './target-program.ts';
import { DOMAIN } from './with-tunnel.ts';
import { eventually, within } from './within.ts';

/** What is killed, or cut, under transfers that are under way. */
export type Victim = 'target' | 'agent' | 'server' | 'link reset' | 'link closed';
const VICTIMS: readonly Victim[] = ['target', 'agent', 'server', 'link reset', 'link closed'];
const STOPS: readonly StopAt[] = ['head', 'middle', 'end'];

/** Who is killed, and how far the transfers have come by then. */
export interface KillCase {
  readonly victim: Victim;
  readonly stop: StopAt;
}

export const KILL_CASES: readonly KillCase[] = VICTIMS.flatMap((victim) => STOPS.map((stop) => ({ victim, stop })));

const HALF = BODY_BYTES / 2;
const BODY = targetBody();

/** How many transfers of a round were cut and how many were complete. */
export interface RoundResult {
  cut: number;
  complete: number;
}

let uploads = 0;

/**
 * One round: transfers of every kind are brought to `stop`, the victim is killed, and what each transfer looked like to
 * who took part in it is judged: nothing that is not whole may look whole. Then everything is brought up again.
 */
export async function killRound(deployment: Deployment, victim: Victim, stop: StopAt): Promise<RoundResult> {
  const result = { cut: 0, complete: 0 };
  const downloads = ['chunked', 'length'].flatMap((framing) =>
    ['--http1.1', '--http2'].map((version) => startDownload(deployment, framing, version, stop)),
  );
  const streams = [
    await startStream(deployment, { port: deployment.tcp, stop }),
    await startStream(deployment, { port: deployment.frontDoor, stop }),
  ];
  const upload = stop === 'end' ? null : await startUpload(deployment);
  try {
    await Promise.all([...downloads, ...streams].map(({ reached }) => reached));
    await kill(deployment, victim);
    for (const download of downloads) await judgeDownload(download, stop, result);
    for (const stream of streams) await judgeStream(stream, victim, stop, result);
    if (upload !== null && victim !== 'target') {
      await eventually('the end of the upload at the target', () => deployment.uploads.get(upload.id) !== 'begun');
      assert.equal(deployment.uploads.get(upload.id), 'cut', 'half an upload looked complete to the target');
    }
  } finally {
    for (const { transfer } of downloads) transfer.close();
    for (const { peer } of streams) peer.close();
    upload?.peer.close();
  }
  await deployment.untilServing();
  return result;
}

interface Download {
  readonly what: string;
  readonly transfer: CurlTransfer;
  readonly reached: Promise<void>;
}

function startDownload({ frontDoor }: Deployment, framing: string, version: string, stop: StopAt): Download {
  const path = `/body?framing=${framing}&stop=${stop}`;
  const transfer = new CurlTransfer(DOMAIN, frontDoor, path, [version]);
  const reached = transfer.head().then(() => transfer.received(stop === 'head' ? 0 : HALF));
  return { what: `${version} ${framing} until ${stop}`, transfer, reached };
}

async function judgeDownload({ what, transfer }: Download, stop: StopAt, result: RoundResult): Promise<void> {
  const code = await within(`curl's end, ${what}`, transfer.code);
  if (code !== CURL_DONE) {
    result.cut += 1;
    return;
  }
  result.complete += 1;
  assert.equal(stop, 'end', `${what}: curl took for complete what never was (${transfer.length} bytes)`);
  assert.ok(transfer.bytes.equals(BODY), `${what}: curl took ${transfer.length} of ${BODY_BYTES} bytes for complete`);
}

interface ByteStream {
  readonly what: string;
  readonly peer: Peer;
  readonly reached: Promise<void>;
}

/** An upgraded connection: its end is all that tells whether it is complete. */
async function startStream(
  deployment: Deployment,
  { port, stop }: { port: number; stop: StopAt },
): Promise<ByteStream> {
  const tls = port === deployment.frontDoor;
  const peer = await connectPeer(port, { tls });
  const fields = `Host: ${DOMAIN}\r\nConnection: Upgrade\r\nUpgrade: backdial-test\r\n`;
  await peer.send(`GET /stream?stop=${stop} HTTP/1.1\r\n${fields}\r\n`);
  const reached = peer.receivedText('\r\n\r\n').then((head) => {
    assert.match(head, /^HTTP\/1\.1 101 /);
    peer.drop(head.length + 4);
    return peer.received(stop === 'head' ? 0 : HALF);
  });
  return { what: `${tls ? 'an upgrade' : 'a TCP stream'} until ${stop}`, peer, reached };
}

async function judgeStream(stream: ByteStream, victim: Victim, stop: StopAt, result: RoundResult): Promise<void> {
  const { what, peer } = stream;
  const { verdict } = await within(`the end of ${what}`, peer.ending);
  const whole = peer.bytes.equals(BODY);
  if (verdict === 'clean' && whole) result.complete += 1;
  else result.cut += 1;
  // Where the process that holds the far end is killed, its kernel ends the connection, with a FIN: nobody is left who
  // could reset it, and bare sockets would look the same.
  if (victim === 'target' || victim === 'server') return;
  if (stop === 'end' && whole) return;
  assert.equal(verdict, 'reset', `${what}: cut by the ${victim} after ${peer.length} bytes`);
}

async function startUpload(deployment: Deployment): Promise<{ id: string; peer: Peer }> {
  uploads += 1;
  const id = String(uploads);
  const peer = await connectPeer(deployment.frontDoor, { tls: true });
  await peer.send(`POST /upload?id=${id} HTTP/1.1\r\nHost: ${DOMAIN}\r\nContent-Length: ${BODY_BYTES}\r\n\r\n`);
  await peer.send(BODY.subarray(0, HALF));
  await eventually('the upload at the target', () => deployment.uploads.has(id));
  return { id, peer };
}

async function kill(deployment: Deployment, victim: Victim): Promise<void> {
  switch (victim) {
    case 'target':
      return deployment.killTarget();
    case 'agent':
      return deployment.killAgent();
    case 'server':
      return deployment.killServer();
    case 'link reset':
      return deployment.link.reset();
    case 'link closed':
      return deployment.link.cut();
  }
}
