// A step of the build, not of the program: writes the JSON Schemas of the files to `schemas` beside the compiled code.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileSchemas } from './json-schema.ts';
import { describeKeys, keyComments } from './schema-comments.ts';

const folder = new URL('../schemas/', import.meta.url);
mkdirSync(folder, { recursive: true });
for (const { name, example, schema } of fileSchemas()) {
  const comments = keyComments(readFileSync(new URL(`../../conf/${example}`, import.meta.url), 'utf8'));
  writeFileSync(new URL(`${name}.schema.json`, folder), `${JSON.stringify(describeKeys(schema, comments), null, 2)}\n`);
}
