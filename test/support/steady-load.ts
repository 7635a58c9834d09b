import * as https from 'node:https';
import { testAuthority } from './certificates.ts';

/** What became of requests that were sent at a steady rate. */
export interface LoadResult {
  readonly answered: number;
  /** Everything but a 200 with the whole body, in words. */
  readonly failures: readonly string[];
}

export interface SteadyLoad {
  /** Stops sending, waits for the answers that are missing. */
  stop(): Promise<LoadResult>;
}

/** Sends GET requests over kept-alive HTTPS connections, so many a second whether or not they are answered. */
export function startSteadyLoad(port: number, perSecond: number, expected: string): SteadyLoad {
  const agent = new https.Agent({ keepAlive: true, maxSockets: 64, ca: testAuthority().cert });
  const failures: string[] = [];
  const open = new Set<Promise<void>>();
  let answered = 0;
  let sent = 0;
  const began = performance.now();

  const send = (): Promise<void> =>
    new Promise((resolve) => {
      const fail = (what: string) => {
        failures.push(what);
        resolve();
      };
      const headers = { host: 'www.example.com' };
      const servername = 'www.example.com';
      const request = https.get(
        { agent, host: '127.0.0.1', port, servername, headers, timeout: 60_000 },
        (response) => {
          let text = '';
          response.setEncoding('utf8');
          response.on('data', (part: string) => {
            text += part;
          });
          response.on('error', (error) => fail(`the answer: ${error.message}`));
          response.on('end', () => {
            if (response.statusCode !== 200 || text !== expected) fail(`${response.statusCode} ${text.slice(0, 80)}`);
            else {
              answered += 1;
              resolve();
            }
          });
        },
      );
      request.on('error', (error) => fail(`the request: ${error.message}`));
      request.on('timeout', () => request.destroy(new Error('no answer within a minute')));
    });

  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - began) / 1_000) * perSecond);
    for (; sent < due; sent += 1) {
      const request = send().finally(() => open.delete(request));
      open.add(request);
    }
  }, 5);

  return {
    async stop() {
      clearInterval(timer);
      await Promise.all(open);
      agent.destroy();
      return { answered, failures };
    },
  };
}
