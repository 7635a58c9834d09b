import { get } from 'node:http';
import * as https from 'node:https';
import { testAuthority } from '../support/certificates.ts';

/** Whether one HTTP request to the port of the loopback address is answered with 200 within 2 s. */
export function answersHttp(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get({ host: '127.0.0.1', port, agent: false, timeout: 2_000, headers: { host: 'localhost' } });
    request.on('timeout', () => request.destroy());
    request.on('error', () => resolve(false));
    request.on('close', () => resolve(false));
    request.on('response', (response) => {
      response.resume();
      response.on('error', () => resolve(false));
      response.on('end', () => resolve(response.statusCode === 200));
    });
  });
}

/** Whether one HTTPS request for `localhost` is answered, with whatever a domain that is served answers: 200 or 401. */
export function answersHttps(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const options = { host: 'localhost', family: 4, port, agent: false, timeout: 2_000, ca: testAuthority().cert };
    const request = https.get(options, (response) => {
      response.resume();
      resolve(response.statusCode === 200 || response.statusCode === 401);
    });
    request.on('timeout', () => request.destroy());
    request.on('error', () => resolve(false));
  });
}
