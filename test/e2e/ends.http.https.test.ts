import { after, before } from 'node:test';
import { testAuthority } from '../support/certificates.ts';
import { testHttpEndings } from '../support/http-ends.ts';
import { type HttpTarget, startHttpTarget } from '../support/http-target.ts';
import { openTunnel, type Tunnel } from '../support/with-tunnel.ts';

for (const version of ['HTTP/1.1', 'HTTP/2'] as const) {
  for (const tlsTarget of [false, true]) {
    let target: HttpTarget;
    let tunnel: Tunnel;
    before(async () => {
      target = await startHttpTarget({ tls: tlsTarget });
      const { port } = target;
      tunnel = await openTunnel({
        target: tlsTarget ? { kind: 'https', host: '127.0.0.1', port, ca: testAuthority().cert } : port,
      });
    });
    after(async () => {
      await tunnel.close();
      await target.close();
    });

    testHttpEndings(`through the HTTPS way in, ${version} to ${tlsTarget ? 'an https' : 'an http'} target`, {
      tls: true,
      version,
      targetVersion: 'HTTP/1.1',
      port: () => tunnel.frontDoor,
      exchange: (path) => target.next(path),
    });
  }
}
