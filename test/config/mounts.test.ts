import assert from 'node:assert/strict';
import { it } from 'node:test';
import { mountPoints, parseMountInfo } from '../../src/config/mounts.ts';

it('finds the mount points of a mountinfo, whatever is in their names', () => {
  const text = `22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
601 22 8:1 /srv/a\\040b /etc/back\\040dial/a\\134b.json5 ro,relatime - ext4 /dev/sda1 rw
`;
  assert.deepEqual(parseMountInfo(text), new Set(['/', '/etc/back dial/a\\b.json5']));
});

it('knows those of this machine', { skip: process.platform !== 'linux' }, () => {
  assert.ok(mountPoints().has('/proc'));
});
