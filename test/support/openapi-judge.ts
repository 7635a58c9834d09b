import assert from 'node:assert/strict';
import { Ajv2020 } from 'ajv/dist/2020.js';

type Ask = (url: string, options?: RequestInit) => Promise<Response>;

interface Answer {
  readonly content?: Readonly<Record<string, { readonly schema: object }>>;
}
interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly responses: Record<string, Answer> }>>>>;
  readonly components: { readonly schemas: { readonly Error: object } };
}

const ajv = new Ajv2020({ strict: true, allowUnionTypes: true });

/** Holds the answers of an API, whatever their status, against its own OpenAPI document. */
export class OpenApiJudge {
  readonly #base: string;
  readonly #ask: Ask;
  readonly #document: Document;
  /** What was asked: `GET /health 200`. */
  readonly seen = new Set<string>();

  private constructor(base: string, ask: Ask, document: Document) {
    this.#base = base;
    this.#ask = ask;
    this.#document = document;
  }

  static async of(base: string, ask: Ask): Promise<OpenApiJudge> {
    return new OpenApiJudge(base, ask, (await (await ask(`${base}/openapi.json`)).json()) as Document);
  }

  /** Each operation as `GET /health`. */
  get operations(): string[] {
    return Object.entries(this.#document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
  }

  /** Asks; the status has to be one that is documented, and the body all of what is documented and nothing else. */
  async check(operation: string, parameters: Readonly<Record<string, string>> = {}, options: RequestInit = {}) {
    const [method = '', path = ''] = operation.split(' ');
    const { responses } = this.#document.paths[path]?.[method.toLowerCase()] ?? assert.fail(`${operation}: unknown`);
    const asked = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(parameters[name] ?? ''));
    const response = await this.#ask(`${this.#base}${asked}`, { ...options, method });
    const text = await response.text();
    const where = `${operation}: ${response.status} ${text.slice(0, 300)}`;
    const answer = responses[response.status] ?? assert.fail(`${where}: this status is not documented`);
    const [type = '', { schema } = { schema: {} }] = Object.entries(answer.content ?? {})[0] ?? assert.fail(where);
    assert.ok(response.headers.get('content-type')?.startsWith(type.split(';')[0] ?? ''), where);
    const isError = JSON.stringify(schema).includes('#/components/schemas/Error');
    const shape = isError ? this.#document.components.schemas.Error : schema;
    const validate = ajv.compile(closed(shape) as object);
    assert.ok(
      validate(type.startsWith('application/json') ? JSON.parse(text) : text),
      `${where} ${ajv.errorsText(validate.errors)}`,
    );
    this.seen.add(`${operation} ${response.status}`);
  }
}

/** The schema with every property needed, and none but these: what is not documented is a mistake, and what is missing, too. */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed);
  if (typeof schema !== 'object' || schema === null) return schema;
  const parts = Object.fromEntries(Object.entries(schema).map(([key, part]) => [key, closed(part)]));
  const { properties } = schema as { properties?: object };
  if (properties === undefined || 'additionalProperties' in schema) return parts;
  const required = 'required' in schema ? schema.required : Object.keys(properties);
  return { ...parts, required, additionalProperties: false };
}
