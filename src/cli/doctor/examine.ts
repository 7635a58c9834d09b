import { type Finding, Findings } from './findings.ts';
import { checkServer } from './server-checks.ts';
import type { Subject } from './subject.ts';
import { checkTarget } from './target-checks.ts';

/** Targets that are tried at the same time. */
const TARGETS_AT_ONCE = 16;

/** Looks at everything; never throws for what it finds. */
export async function examine(subject: Subject, env: NodeJS.ProcessEnv): Promise<Finding[]> {
  const general = new Findings('options');
  for (const warning of subject.warnings)
    general.warn('options', warning, 'it hinders nothing: what follows was looked at all the same');
  const found: Finding[] = [...general.list];
  for (const server of subject.servers) found.push(...(await checkServer(server, env)));
  for (let i = 0; i < subject.targets.length; i += TARGETS_AT_ONCE) {
    const some = subject.targets.slice(i, i + TARGETS_AT_ONCE);
    const results = await Promise.all(some.map((target) => checkTarget(target, subject.connectTimeoutMs)));
    found.push(...results.flat());
  }
  return found;
}
