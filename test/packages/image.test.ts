import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { RootSystem, removeAsRoot } from '../support/root-system.ts';
import { missingTools } from '../support/tools.ts';
import { buildImage } from './image.ts';
import { tryImage } from './try-image.ts';

describe('the container image', { skip: missingTools('mmdebstrap', 'unshare', 'npm', 'curl') }, () => {
  const work = mkdtempSync(join(tmpdir(), 'backdial-image-'));
  let system: RootSystem;

  before(async () => {
    system = await RootSystem.make({ include: ['passwd', 'libstdc++6', 'libatomic1'] });
  });
  after(() => {
    system?.remove();
    removeAsRoot(work);
  });

  it('has steps that give a server, and an agent that the environment alone configures; its health check tells', async () => {
    await tryImage(buildImage(system.folder, work), work);
  });
});
