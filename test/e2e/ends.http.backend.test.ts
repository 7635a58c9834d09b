import { after, before } from 'node:test';
import { type BackendServer, startBackendServer } from '../support/backend-server.ts';
import { testHttpEndings } from '../support/http-ends.ts';
import { type HttpTarget, startHttpTarget } from '../support/http-target.ts';

for (const passthrough of [false, true]) {
  for (const version of ['HTTP/1.1', 'HTTP/2'] as const) {
    // Where TLS ends at the server, it goes on with HTTP/1.1.
    const targetVersion = passthrough ? version : 'HTTP/1.1';
    let target: HttpTarget;
    let backend: BackendServer;
    before(async () => {
      target = await startHttpTarget({ tls: passthrough, version: targetVersion });
      backend = await startBackendServer({
        target: { host: '127.0.0.1', port: target.port },
        tls: passthrough ? 'passthrough' : 'terminate',
      });
    });
    after(async () => {
      await backend?.close();
      await target.close();
    });

    testHttpEndings(`to a target beside the server, ${version}, TLS ${passthrough ? 'passed through' : 'ended'}`, {
      tls: true,
      version,
      targetVersion,
      port: () => backend.frontDoor,
      exchange: (path) => target.next(path),
    });
  }
}
