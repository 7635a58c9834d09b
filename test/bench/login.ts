import * as https from 'node:https';
import { DOMAIN } from './backdial.ts';

/** Asks the domain of the benches for its page with a login, `user:password`; the status. */
export function login(port: number, agent: https.Agent, credentials: string, ca: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { host: DOMAIN, authorization: `Basic ${Buffer.from(credentials).toString('base64')}` };
    const options = { host: '127.0.0.1', port, agent, headers, servername: DOMAIN, ca };
    const request = https.get(options, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode ?? 0));
    });
    request.on('error', reject);
  });
}
