import { z } from 'zod';
import { AGENT_DOMAIN_KEYS, AGENT_KEYS, TARGET_KEYS, TLS_KEYS, weightedKeys } from './agent-keys.ts';
import { apiKeys } from './api-settings.ts';
import { SNI_KEYS } from './backends.ts';
import { CLIENTS_KEYS } from './clients.ts';
import { FIELD_SHAPES } from './fields.ts';
import { GRANTS_KEYS, IDENTITY_KEYS } from './grants.ts';
import { listenerKeys } from './listeners.ts';
import { LOG_FILE_KEYS, syslogKeys } from './log-destinations.ts';
import { AGENT_LOG_KEYS, SERVER_LOG_KEYS } from './log-settings.ts';
import { proxyKeys } from './proxy.ts';
import type { Keys } from './section.ts';
import { CERTIFICATE_KEYS, SERVER_DOMAIN_KEYS, serverKeys } from './server-keys.ts';
import {
  anyOf,
  BACKEND_SHAPE,
  CREDENTIAL_SHAPE,
  DESTINATION_SHAPE,
  HANDED_OVER_SHAPE,
  type JsonShape,
  LISTEN_SHAPE,
  NETWORK_SHAPE,
  oneOrMany,
  orNothing,
  RANGE_SHAPE,
  REMOTE_SHAPE,
  SECRET_SHAPE,
  SHOWN_SECRET_SHAPE,
  TARGET_SHAPE,
} from './shapes.ts';

/** A JSON Schema (2020-12) of one of the files, and the file of `conf/` that shows each of its keys. */
export interface FileSchema {
  /** File name without extension. */
  readonly name: string;
  readonly example: string;
  readonly schema: JsonShape;
}

/** Entries of most lists. */
const MANY = { most: 1_000 };
const EMPTY: JsonShape = { const: '' };
const SECRETS = orNothing(anyOf(EMPTY, oneOrMany(SECRET_SHAPE, { most: 10 })));
const CREDENTIALS = orNothing(oneOrMany(CREDENTIAL_SHAPE, MANY));
const NETWORKS = orNothing(oneOrMany(NETWORK_SHAPE, { most: 10_000 }));
const ADDRESSES = oneOrMany(LISTEN_SHAPE, { least: 1 });

/**
 * What editors check and complete. The keys come from the schemas that files are read with; `parts` says what stands in those
 * keys that are read on their own. Nothing that is read without a problem is refused; not all that is refused is found.
 */
export function fileSchemas(): readonly FileSchema[] {
  return [
    file('server', 'server.json5', objectOf(serverKeys('/'), serverParts())),
    file('server-domain', 'domains/www.example.com.json5', objectOf(SERVER_DOMAIN_KEYS, serverDomainParts())),
    file('agent', 'agent/agent.json5', objectOf(AGENT_KEYS, { api: api(), log: log(AGENT_LOG_KEYS) })),
    file(
      'agent-domain',
      'agent/domains/www.example.com.json5',
      objectOf(AGENT_DOMAIN_KEYS, {
        secret: orNothing(anyOf(EMPTY, SHOWN_SECRET_SHAPE)),
        remote: orNothing(oneOrMany(REMOTE_SHAPE, { least: 1, ...MANY })),
        targets: orNothing(oneOrMany(targetPart(), MANY)),
        ports: orNothing({
          type: 'object',
          maxProperties: 1_000,
          // 80 and 443 always mean `targets`.
          propertyNames: { pattern: '^(?!(?:80|443)$)[1-9]\\d{0,4}$' },
          additionalProperties: TARGET_SHAPE,
        }),
      }),
    ),
  ];
}

type Parts = Readonly<Record<string, JsonShape>>;

function serverParts(): Parts {
  const certificates = orNothing(oneOrMany(objectOf(CERTIFICATE_KEYS)));
  const proxyProtocol = orNothing(oneOrMany(NETWORK_SHAPE, { least: 1, most: 10_000 }));
  const address = oneOrMany(HANDED_OVER_SHAPE, { least: 1 });
  const listener = objectOf(listenerKeys('/'), { address, certificates, proxyProtocol });
  const identity = {
    ...objectOf(IDENTITY_KEYS, { secret: SECRETS, destinations: destinations() }),
    anyOf: [{ required: ['secret'] }, { required: ['certificate'] }],
  };
  return {
    listen: orNothing(oneOrMany(anyOf(HANDED_OVER_SHAPE, listener), { least: 1 })),
    certificates,
    admin: api(),
    proxy: orNothing(objectOf(proxyKeys('/'), { listen: ADDRESSES, credentials: CREDENTIALS })),
    grants: orNothing(oneOrMany(identity, MANY)),
    sni: orNothing(objectOf(SNI_KEYS)),
    log: log(SERVER_LOG_KEYS),
  };
}

function serverDomainParts(): Parts {
  return {
    secret: SECRETS,
    networks: NETWORKS,
    target: orNothing(BACKEND_SHAPE),
    forward: NETWORKS,
    grants: orNothing(objectOf(GRANTS_KEYS, { destinations: destinations() })),
    clients: orNothing(
      objectOf(CLIENTS_KEYS, {
        networks: NETWORKS,
        ranges: orNothing(oneOrMany(RANGE_SHAPE, MANY)),
        credentials: CREDENTIALS,
      }),
    ),
  };
}

function destinations(): JsonShape {
  return orNothing(oneOrMany(DESTINATION_SHAPE, MANY));
}

/** One of `targets`. */
function targetPart(): JsonShape {
  const weighted = anyOf(TARGET_SHAPE, objectOf(weightedKeys('/')));
  return objectOf(TARGET_KEYS, {
    target: anyOf(TARGET_SHAPE, { type: 'array', items: weighted, minItems: 1, maxItems: 1_000 }),
    tls: orNothing(objectOf(TLS_KEYS)),
  });
}

function api(): JsonShape {
  return orNothing(objectOf(apiKeys('/'), { listen: ADDRESSES, token: orNothing(SHOWN_SECRET_SHAPE) }));
}

function log(keys: Keys<z.ZodObject>): JsonShape {
  const destination = anyOf({ const: 'console' }, objectOf(LOG_FILE_KEYS), objectOf(syslogKeys('/')));
  const listed = orNothing(oneOrMany(destination));
  return orNothing(objectOf(keys, { system: listed, access: listed }));
}

function file(name: string, example: string, schema: JsonShape): FileSchema {
  const $schema = 'https://json-schema.org/draft/2020-12/schema';
  return { name, example, schema: { $schema, title: `Backdial: ${name}`, ...schema } };
}

function objectOf({ schema, required = [] }: Keys<z.ZodObject>, parts: Parts = {}) {
  const made = z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) => {
      const shape = FIELD_SHAPES.get(zodSchema);
      if (shape === undefined) return;
      for (const key of Object.keys(jsonSchema)) delete jsonSchema[key];
      Object.assign(jsonSchema, shape);
    },
  });
  // Whether a key may be left out is `Keys`' to say: a field that is preprocessed seems needed.
  const { $schema: _version, required: _required, properties = {}, ...rest } = made;
  const known = Object.entries(parts).filter(([key]) => key in properties);
  return {
    ...rest,
    properties: { ...properties, ...Object.fromEntries(known) },
    ...(required.length === 0 ? {} : { required: [...required] }),
  };
}
