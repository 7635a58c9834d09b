import assert from 'node:assert/strict';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect } from 'node:tls';
import { startFrontDoor } from '../support/front-door.ts';
import { withFolder } from '../support/with-folder.ts';

test('a front door at a Unix socket has the mode and the owner that it was given', async (t) => {
  await withFolder({}, async (folder) => {
    const path = join(folder, 'door.sock');
    const [uid, gid] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0];
    // Only root may give a file away; others may give it to another group of theirs.
    const owner = uid === 0 ? { uid: 4_321, gid: 4_322 } : { uid: null, gid: process.getgroups?.().at(-1) ?? null };
    const listen = [
      { host: '127.0.0.1', port: 0 },
      { address: { path }, mode: 0o620, owner },
    ];
    await startFrontDoor(t, { listen });
    const made = statSync(path);
    assert.equal(made.mode & 0o777, 0o620);
    assert.deepEqual([made.uid, made.gid], [owner.uid ?? uid, owner.gid ?? gid]);
    const visitor = connect({ socket: createConnection(path), servername: 'a.example.com', rejectUnauthorized: false });
    await once(visitor, 'secureConnect');
    visitor.destroy();
  });
});
