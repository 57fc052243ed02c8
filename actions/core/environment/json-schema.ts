import { environmentSchema } from './schema.ts';

/** environments/schema.json: the schema as editors read it (`# yaml-language-server: $schema=./schema.json`). */
export function jsonSchemaText(): string {
  const schema = { title: 'Firedrill environment', ...environmentSchema.toJSONSchema({ io: 'input' }) };
  return `${JSON.stringify(schema, null, 2)}\n`;
}
