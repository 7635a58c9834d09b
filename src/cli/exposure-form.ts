import { parseRemote } from '../config/addresses.ts';
import { formatAddress, parseHostPort } from '../core/address.ts';
import type { ExposureRequest } from '../index.ts';
import type { ValueProblem } from '../net/api-route.ts';

const MAX_NAME_LENGTH = 128;

/** JSON Schema of what a request, the list and the saved file have in common. */
export const EXPOSURE_PROPERTIES = {
  name: { type: 'string', minLength: 1, maxLength: MAX_NAME_LENGTH, description: 'for people' },
  source_port: { type: 'integer', minimum: 1, maximum: 65_535, description: 'where it is listened' },
  remote_connector_addr: {
    type: 'string',
    description: "host:port of a server that one of the agent's domains has as `remote`",
  },
  destination_addr: { type: 'string', description: 'host:port that is dialled at the other side' },
} as const;

/** JSON Schema of a request. */
export const EXPOSURE_SCHEMA = {
  type: 'object',
  required: ['name', 'source_port', 'remote_connector_addr', 'destination_addr', 'type'],
  additionalProperties: false,
  properties: {
    ...EXPOSURE_PROPERTIES,
    type: {
      enum: ['local', 'remote'],
      description: 'local: the server listens, this agent dials; remote: this agent listens, the server dials',
    },
  },
} as const;

/** An exposure in the form in which it is asked for. */
export function exposureForm({ name, sourcePort, remote, destination, type }: ExposureRequest) {
  return {
    name,
    source_port: sourcePort,
    remote_connector_addr: remote,
    destination_addr: formatAddress(destination),
    type,
  };
}

/** What a body asks for, or every problem of it. */
export function readExposure(body: unknown): ExposureRequest | ValueProblem[] {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    return [{ field: '', message: `found ${JSON.stringify(body)?.slice(0, 100)}; allowed: an object` }];
  }
  const given = body as Record<string, unknown>;
  const problems: ValueProblem[] = [];
  const take = <T>(field: string, allowed: string, read: (value: unknown) => T | null): T | null => {
    const value = read(given[field]);
    const found = given[field] === undefined ? 'nothing' : JSON.stringify(given[field]).slice(0, 100);
    if (value === null) problems.push({ field, message: `found ${found}; allowed: ${allowed}` });
    return value;
  };
  const name = take('name', `a text of 1 to ${MAX_NAME_LENGTH} characters`, readName);
  const sourcePort = take('source_port', 'a whole number from 1 to 65535', readPort);
  const remote = take('remote_connector_addr', 'host:port of a server', parseRemote);
  const destination = take('destination_addr', 'host:port', readDestination);
  const type = take('type', '"local" or "remote"', (value) => (value === 'local' || value === 'remote' ? value : null));
  const known = EXPOSURE_SCHEMA.required as readonly string[];
  for (const field of Object.keys(given)) {
    if (!known.includes(field)) problems.push({ field, message: `is not known; allowed: ${known.join(', ')}` });
  }
  const isWhole = name !== null && sourcePort !== null && remote !== null && destination !== null && type !== null;
  return isWhole && problems.length === 0 ? { name, sourcePort, remote, destination, type } : problems;
}

function readName(value: unknown): string | null {
  return typeof value === 'string' && value !== '' && value.length <= MAX_NAME_LENGTH ? value : null;
}

function readPort(value: unknown): number | null {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 65_535 ? value : null;
}

function readDestination(value: unknown): { host: string; port: number } | null {
  const parsed = typeof value === 'string' ? parseHostPort(value) : null;
  if (parsed === null || parsed.port === 0) return null;
  return /^[A-Za-z0-9.:%_-]{1,253}$/.test(parsed.host) ? parsed : null;
}
