import type { ApiOperation, ApiRoute } from './api-route.ts';

/** What an OpenAPI document says of the whole. */
export interface OpenApiInfo {
  readonly title: string;
  readonly version: string;
  readonly description: string;
}

const ERROR_SCHEMA = {
  type: 'object',
  required: ['error', 'message'],
  properties: {
    error: { type: 'string', description: 'a code of the catalogue' },
    message: { type: 'string', description: 'what is wrong, and what is allowed' },
    problems: {
      type: 'array',
      description: 'with 422: each field that is wrong',
      items: {
        type: 'object',
        required: ['field', 'message'],
        properties: { field: { type: 'string' }, message: { type: 'string' } },
      },
    },
  },
};

/** What every route may answer, whatever it does. */
const REFUSALS = {
  401: 'the token is missing or wrong',
  403: 'the request comes from another site, by another name, or (without a token) not from this machine',
} as const;

/** The OpenAPI 3.1 document of the routes that have an operation. */
export function openApiOf(info: OpenApiInfo, routes: readonly ApiRoute[]): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const { method, path, operation, open } of routes) {
    if (operation === undefined) continue;
    paths[path] = { ...paths[path], [method.toLowerCase()]: operationObject(path, operation, open ?? false) };
  }
  return {
    openapi: '3.1.0',
    info,
    security: [{ token: [] }, {}],
    paths,
    components: {
      schemas: { Error: ERROR_SCHEMA },
      securitySchemes: {
        token: {
          type: 'http',
          scheme: 'bearer',
          description: 'needed where `token` is configured; else loopback only',
        },
      },
    },
  };
}

function operationObject(path: string, { summary, body, query = {}, responses }: ApiOperation, open: boolean): object {
  const inPath = Array.from(path.matchAll(/\{(\w+)\}/g), ([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
  const inQuery = Object.entries(query).map(([name, rest]) => ({ name, in: 'query', ...rest }));
  const refusals = open
    ? {}
    : Object.fromEntries(Object.entries(REFUSALS).map(([status, text]) => [status, error(text)]));
  const answers = Object.entries(responses).map(([status, { description, schema, type = 'application/json' }]) => {
    if (schema !== undefined) return [status, { description, content: { [type]: { schema } } }];
    return [status, Number(status) < 400 ? { description } : error(description)];
  });
  return {
    summary,
    ...(inPath.length + inQuery.length > 0 ? { parameters: [...inPath, ...inQuery] } : {}),
    ...(body === undefined
      ? {}
      : { requestBody: { required: true, content: { 'application/json': { schema: body } } } }),
    responses: { ...Object.fromEntries(answers), ...refusals },
    ...(open ? { security: [] } : {}),
  };
}

function error(description: string): object {
  return { description, content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } } };
}
