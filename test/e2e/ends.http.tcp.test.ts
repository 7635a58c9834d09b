import { after, before } from 'node:test';
import { testHttpEndings } from '../support/http-ends.ts';
import { type HttpTarget, startHttpTarget } from '../support/http-target.ts';
import { openTunnel, type Tunnel } from '../support/with-tunnel.ts';

// The TCP way in knows nothing of HTTP, nor of TLS that is not its own: it must carry the ends of both.
for (const version of ['HTTP/1.1', 'HTTP/2'] as const) {
  for (const tls of [false, true]) {
    let target: HttpTarget;
    let tunnel: Tunnel;
    before(async () => {
      target = await startHttpTarget({ tls, version });
      tunnel = await openTunnel({ target: target.port });
    });
    after(async () => {
      await tunnel.close();
      await target.close();
    });

    testHttpEndings(`through the TCP way in, ${version} ${tls ? 'over TLS' : 'in the clear'}`, {
      tls,
      version,
      targetVersion: version,
      port: () => tunnel.tcp,
      exchange: (path) => target.next(path),
    });
  }
}
