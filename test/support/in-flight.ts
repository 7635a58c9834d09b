import assert from 'node:assert/strict';
import type { Exchange, HttpTarget, HttpVersion } from './http-target.ts';
import { type Visit, visit } from './http-visitor.ts';
import { within } from './within.ts';

const PART = 'the first part';

/** Requests of visitors at every stage that a request can be at when the way to its target goes silent. */
export interface InFlight {
  readonly visits: readonly Visit[];
  /** Asserts that each ends within the deadline: cut, or answered with 502 or 504 in the target's place. */
  endsVisibly(deadlineMs: number): Promise<void>;
  close(): void;
}

/** Brings requests over HTTP/1.1 and HTTP/2 under way: one waits for its answer, one is in its body, one uploads. */
export async function bringUnderWay(frontDoor: number, target: HttpTarget): Promise<InFlight> {
  const visits: Visit[] = [];
  for (const version of ['HTTP/1.1', 'HTTP/2'] as const) {
    for (const stage of ['waiting', 'answering', 'uploading'] as const) {
      visits.push(await bring(frontDoor, target, version, stage));
    }
  }
  return {
    visits,
    async endsVisibly(deadlineMs) {
      await Promise.all(
        visits.map(async (one) => {
          const { verdict } = await within('the end of a request under way', one.ending, deadlineMs);
          if (verdict === 'clean') assert.ok([502, 504].includes(await one.status()), `status ${await one.status()}`);
        }),
      );
    },
    close() {
      for (const one of visits) one.close();
    },
  };
}

type Stage = 'waiting' | 'answering' | 'uploading';

async function bring(port: number, target: HttpTarget, version: HttpVersion, stage: Stage): Promise<Visit> {
  const path = `/${version}/${stage}`;
  const method = stage === 'uploading' ? 'POST' : 'GET';
  const one = await visit(port, { tls: true, version, path, method });
  if (stage === 'uploading') await one.send(PART);
  const exchange: Exchange = await target.next(path);
  if (stage === 'answering') {
    exchange.respond('chunked', 0);
    await exchange.send(PART);
    await one.received(PART.length);
  } else if (stage === 'uploading') {
    await exchange.received(PART.length);
  }
  return one;
}
