import { get } from 'node:http';

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
