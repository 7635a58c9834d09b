import { createRequire } from 'node:module';
import type { Dispatcher, Agent as UndiciAgent } from 'undici';
import { VISITORS } from './compare-loads.ts';
import type { FetchCount, FetchOrder } from './fetch-words.ts';
import { spread } from './statistics.ts';

// By its part, as the library loads it: undici's main file would take the place of what Node's own fetch uses.
const { Agent } = { Agent: createRequire(import.meta.url)('undici/lib/dispatcher/agent.js') as typeof UndiciAgent };

/** Over kept-alive sockets. */
export function socketDispatcher(): Dispatcher {
  return new Agent({ connections: VISITORS, allowH2: false });
}

/** Fails where an answer is no 200. */
export async function fetchFor({ url, visitors, seconds }: FetchOrder, dispatcher: Dispatcher): Promise<FetchCount> {
  const began = performance.now();
  const end = began + seconds * 1_000;
  const times: number[] = [];
  const init = { dispatcher } as unknown as RequestInit;
  const visitor = async (): Promise<void> => {
    for (let start = performance.now(); start < end; start = performance.now()) {
      const response = await fetch(url, init);
      await response.arrayBuffer();
      if (response.status !== 200) throw new Error(`${url}: ${response.status}`);
      times.push(performance.now() - start);
    }
  };
  await Promise.all(Array.from({ length: visitors }, visitor));
  return { requests: times.length, medianMs: spread(times).median, seconds: (performance.now() - began) / 1_000 };
}
