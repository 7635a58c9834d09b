import type { AppliedChange } from '../core/apply-result.ts';
import { differingKeys } from '../core/same-value.ts';
import type { ServerChange } from './change.ts';

/** The changes as they are told. A domain that only follows another default of the server's is not told apart from that. */
export function reportChanges(changes: readonly ServerChange[]): AppliedChange[] {
  const settings = new Set<string>(
    changes.flatMap((change) => (change.type === 'setting-changed' ? [change.key] : [])),
  );
  return changes.flatMap((change) => reportOf(change, settings));
}

function reportOf(change: ServerChange, settings: ReadonlySet<string>): AppliedChange[] {
  switch (change.type) {
    case 'domain-added':
      return [{ what: 'domain', action: 'added', name: change.domain.name }];
    case 'domain-removed':
      return [{ what: 'domain', action: 'removed', name: change.domain.name }];
    case 'domain-changed': {
      const keys = differingKeys(change.before, change.domain).filter((key) => !settings.has(key));
      return keys.length === 0 ? [] : [{ what: 'domain', action: 'changed', name: change.domain.name, keys }];
    }
    case 'certificates-changed':
      return [{ what: 'option', key: 'certificates' }];
    case 'grants-changed':
      return [{ what: 'option', key: 'grants' }];
    case 'proxy-changed':
      return [{ what: 'option', key: 'proxy' }];
    case 'front-door-changed':
      return [{ what: 'option', key: 'listen' }];
    case 'redirect-moved':
      return [{ what: 'option', key: 'redirect' }];
    case 'setting-changed':
      // A domain's end was told as that of the domain.
      return change.key === 'inactive' ? [] : [{ what: 'option', key: change.key }];
    case 'restart-required':
      return [];
  }
}
