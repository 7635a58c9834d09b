import { type NameMatch, NameTable } from '../core/name-table.ts';
import type { ResolvedDomain } from './resolve-options.ts';

/** What a name means here, with the policy of the domain that rules it. */
export type DomainMatch = NameMatch<ResolvedDomain>;

/** The configured domains, by name. */
export class DomainTable extends NameTable<ResolvedDomain> {}
