import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js';
import { fileSchemas } from '../../src/config/json-schema.ts';

const ajv = new Ajv2020({ strict: true, strictRequired: false, allowUnionTypes: true, allErrors: true });

/** Judges files by their JSON Schemas, which it has as editors get them: as text. No part of the product judges its own schemas. */
export class SchemaJudge {
  readonly #validate: ReturnType<typeof ajv.compile>;

  constructor(name: string) {
    const found = fileSchemas().find((schema) => schema.name === name);
    if (found === undefined) throw new Error(`no schema is called ${name}`);
    this.#validate = ajv.compile(JSON.parse(JSON.stringify(found.schema)));
  }

  accepts(value: unknown): boolean {
    return this.errors(value).length === 0;
  }

  /** Everything that it finds wrong with a value; places are JSON pointers. */
  errors(value: unknown): readonly ErrorObject[] {
    return this.#validate(value) === true ? [] : (this.#validate.errors ?? []);
  }
}
