import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { serviceManager } from '../../src/cli/service-manager.ts';
import { withFolder } from '../support/with-folder.ts';
import { eventually } from '../support/within.ts';

test('a reload is over for the service manager when it failed, too', async (t) => {
  await withFolder({}, async (folder) => {
    const told = `${folder}/told`;
    const { PATH } = process.env;
    t.after(() => {
      process.env.PATH = PATH;
    });
    writeFileSync(`${folder}/systemd-notify`, `#!/bin/sh\necho "$*" >> ${told}\n`, { mode: 0o755 });
    process.env.PATH = `${folder}:${PATH}`;
    const manager = serviceManager({ NOTIFY_SOCKET: `${folder}/none` });
    manager.reloading(Promise.reject(new Error('no')));
    const lines = () => (existsSync(told) ? readFileSync(told, 'utf8') : '');
    await eventually('the end of the reload', () => /^RELOADING=1 .*\nREADY=1 /.test(lines()));
    await manager.close();
  });
});
