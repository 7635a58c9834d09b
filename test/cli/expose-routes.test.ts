import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Exposures } from '../../src/agent/exposures.ts';
import { exposeRoutes } from '../../src/cli/expose-routes.ts';
import { ExposureFile } from '../../src/cli/exposure-file.ts';
import type { SavedExposure } from '../../src/index.ts';
import type { ApiRequest } from '../../src/net/api-route.ts';

const EXPOSURE: SavedExposure = {
  id: 'one',
  name: 'database',
  sourcePort: 9090,
  remote: 'vps.example.com:443',
  destination: { host: '127.0.0.1', port: 5432 },
  type: 'local',
};

test('what cannot be taken out of the file is still there, so that whoever asks again finds it', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'backdial-test-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const exposures = new Exposures(() => []);
  exposures.restore([EXPOSURE]);
  const file = new ExposureFile(folder);
  const routes = exposeRoutes(exposures, file);
  const remove = async () =>
    routes.find(({ method }) => method === 'DELETE')?.handle({ parameters: { id: 'one' } } as unknown as ApiRequest);
  // In the way of the draft.
  mkdirSync(`${file.path}.new`);
  await assert.rejects(remove(), { code: 'state-unwritable' });
  assert.deepEqual(exposures.saved(), [EXPOSURE]);
  rmSync(`${file.path}.new`, { recursive: true });
  assert.deepEqual(await remove(), { text: 'OK' });
  assert.deepEqual(await file.load(), []);
});
