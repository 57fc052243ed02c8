import { existsSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { fileURLToPath } from 'node:url';
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import type { JsonRequest } from '../json-server.ts';
import type { Reason } from './errors.ts';
import type { Filterable } from './filter.ts';

type Schema = Record<string, unknown>;

interface Operation {
  readonly params?: readonly { name: string; in: string; schema: Schema }[];
  readonly request?: Schema;
  readonly response?: Schema;
}

/** Linode's own description of its API, as a judge over what the lab is asked and what it answers. */
export interface Description {
  /** Whether there is one; without it everything passes. */
  readonly present: boolean;
  /** What is wrong with a request, as Linode would say it. */
  requestFaults(operation: string, request: JsonRequest): Reason[];
  /** What is wrong with an answer of ours: a bug of the lab. */
  responseFaults(operation: string, body: unknown): Reason[];
  filterable(operation: string): Filterable;
}

/** Where the description is looked for. It is not part of the repository. */
export function descriptionFile(): string {
  return (
    process.env.LINODE_API_SCHEMA ??
    fileURLToPath(new URL('../../../../shared/linode-api.schema.json', import.meta.url))
  );
}

const loaded = new Map<string, Description>();

/** Reads the description, or gives one that lets everything pass and says so in the log. */
export function loadDescription(log: (line: string) => void, file: string = descriptionFile()): Description {
  if (!existsSync(file)) {
    log(
      `linode api: no description of Linode's API at ${file} (LINODE_API_SCHEMA): requests and answers are not checked`,
    );
    return { present: false, requestFaults: () => [], responseFaults: () => [], filterable: () => () => true };
  }
  const known = loaded.get(file) ?? describedBy(file);
  loaded.set(file, known);
  return known;
}

function describedBy(file: string): Description {
  const { operations } = JSON.parse(readFileSync(file, 'utf8')) as { operations: Record<string, Operation> };
  const validator = compiler();
  return {
    present: true,
    requestFaults: (name, request) => {
      const operation = operations[name];
      if (operation === undefined) return [{ reason: `the lab's description of Linode's API has no ${name}` }];
      const inQuery = (operation.params ?? []).filter((each) => each.in === 'query' && request.query.has(each.name));
      return [
        ...inQuery.flatMap((each) =>
          faults(validator(`${name} ${each.name}`, each.schema), Number(request.query.get(each.name)), each.name),
        ),
        ...(operation.request === undefined
          ? []
          : faults(validator(`${name} request`, operation.request), request.body ?? {})),
      ];
    },
    responseFaults: (name, body) => {
      const schema = operations[name]?.response;
      return schema === undefined ? [] : faults(validator(`${name} response`, schema), body);
    },
    filterable: (name) => {
      const attributes = filterableAttributes(operations[name]?.response);
      return (attribute) => attributes.has(attribute);
    },
  };
}

/** Compiles each schema once, when first used. */
function compiler(): (key: string, schema: Schema) => ValidateFunction {
  // The description follows OpenAPI: words and formats that JSON Schema does not know, and a few patterns that are prose.
  const ajv = new Ajv({ strict: false, allErrors: true, unicodeRegExp: false, formats });
  const compiled = new Map<string, ValidateFunction>();
  return (key, schema) => {
    const known = compiled.get(key) ?? ajv.compile(schema);
    compiled.set(key, known);
    return known;
  };
}

const isAddress = (text: string) => isIP(text.split('/')[0] ?? '') !== 0;
const formats: Record<string, true | ((text: string) => boolean)> = {
  'date-time': (text) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/.test(text),
  byte: (text) => /^[A-Za-z0-9+/]*={0,2}$/.test(text),
  uuid: (text) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text),
  ip: isAddress,
  'ip/netmask': isAddress,
  ipv4: isAddress,
  'ipv6/128': isAddress,
  password: true,
  url: true,
};

function faults(validate: ValidateFunction, value: unknown, field?: string): Reason[] {
  if (validate(value)) return [];
  const errors = (validate.errors ?? []).filter((error) => !['anyOf', 'allOf', 'oneOf'].includes(error.keyword));
  const deepest = Math.max(...errors.map((error) => error.instancePath.split('/').length));
  const chosen = errors.filter((error) => error.instancePath.split('/').length === deepest);
  const reasons = chosen.map((error) => {
    const place = field ?? fieldOf(error);
    return { ...(place === '' ? {} : { field: place }), reason: `${error.message ?? 'is not valid'}` };
  });
  return [...new Map(reasons.map((each) => [`${each.field} ${each.reason}`, each])).values()];
}

/** `/interfaces/1/subnet_id` in Linode's words: `interfaces[1].subnet_id`. */
function fieldOf(error: ErrorObject): string {
  const missing = error.keyword === 'required' ? `/${String(error.params.missingProperty)}` : '';
  return `${error.instancePath}${missing}`
    .slice(1)
    .replace(/\/(\d+)/g, '[$1]')
    .replaceAll('/', '.');
}

function filterableAttributes(response: Schema | undefined): Set<string> {
  const found = new Set<string>();
  const walk = (schema: unknown, path: string[]): void => {
    if (typeof schema !== 'object' || schema === null) return;
    const { allOf, anyOf, properties, items } = schema as Record<string, unknown>;
    for (const part of [...((allOf as unknown[]) ?? []), ...((anyOf as unknown[]) ?? [])]) walk(part, path);
    for (const [key, value] of Object.entries((properties as Record<string, Schema>) ?? {})) {
      if (value['x-linode-filterable'] === true) found.add([...path, key].join('.'));
      walk(value, [...path, key]);
    }
    // The page's own `data` is no part of an attribute's name.
    walk(items, path[0] === 'data' ? path.slice(1) : path);
  };
  walk(response, []);
  return found;
}
