import { after, before } from 'node:test';
import { FaultyLink } from '../support/faulty-link.ts';
import { testHttpEndings } from '../support/http-ends.ts';
import { type HttpTarget, startHttpTarget } from '../support/http-target.ts';

// What visitors and targets make of each end without anything between them is the measure for the tunnel.
for (const version of ['HTTP/1.1', 'HTTP/2'] as const) {
  for (const tls of [false, true]) {
    const how = `${version} ${tls ? 'over TLS' : 'in the clear'}`;
    let target: HttpTarget;
    let link: FaultyLink;
    before(async () => {
      target = await startHttpTarget({ tls, version });
      link = await FaultyLink.to(target.port, { delayMs: 2, trickleBytes: 40 });
    });
    after(async () => {
      await link.close();
      await target.close();
    });

    const route = { tls, version, targetVersion: version, exchange: (path: string) => target.next(path) };
    testHttpEndings(`on bare sockets, ${how}`, { ...route, port: () => target.port });
    testHttpEndings(`on the faulty link, ${how}`, { ...route, port: () => link.port });
  }
}
