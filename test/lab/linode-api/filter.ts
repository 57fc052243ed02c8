import { refuse } from './errors.ts';

type Item = Record<string, unknown>;
type Condition = (item: Item) => boolean;

/** Whether a list may be filtered by that attribute. */
export type Filterable = (attribute: string) => boolean;

/**
 * Applies an `X-Filter` header to a list: equality, the operators of Linode's documentation, `+and`, `+or`, `+order_by`, `+order`.
 * Throws a refusal (400) on what Linode refuses: no JSON, an attribute that can't be filtered by, an unknown operator.
 */
export function applyFilter<T extends Item>(
  items: readonly T[],
  header: string | undefined,
  filterable: Filterable,
): T[] {
  if (header === undefined || header === '') return [...items];
  let filter: unknown;
  try {
    filter = JSON.parse(header);
  } catch {
    throw refuse('X-Filter is not valid JSON');
  }
  if (typeof filter !== 'object' || filter === null || Array.isArray(filter))
    throw refuse('X-Filter must be an object');
  const { '+order_by': orderBy, '+order': order, ...conditions } = filter as Item;
  const kept = items.filter(all(conditions, filterable));
  if (typeof orderBy !== 'string') return kept;
  if (!filterable(orderBy)) throw refuse(`Cannot order by ${orderBy}`);
  const sign = order === 'desc' ? -1 : 1;
  return kept.sort((a, b) => sign * compare(valueAt(a, orderBy), valueAt(b, orderBy)));
}

function all(filter: Item, filterable: Filterable): Condition {
  const conditions = Object.entries(filter).map(([key, wanted]) => condition(key, wanted, filterable));
  return (item) => conditions.every((holds) => holds(item));
}

function condition(key: string, wanted: unknown, filterable: Filterable): Condition {
  if (key === '+and' || key === '+or') {
    if (!Array.isArray(wanted)) throw refuse(`${key} must be a list`);
    const parts = wanted.map((part) => all(part as Item, filterable));
    return (item) => (key === '+and' ? parts.every((part) => part(item)) : parts.some((part) => part(item)));
  }
  if (key.startsWith('+')) throw refuse(`Invalid operator ${key}`);
  if (!filterable(key)) throw refuse(`Cannot filter on ${key}`);
  const operators =
    typeof wanted === 'object' && wanted !== null ? Object.entries(wanted) : [['+eq', wanted] as [string, unknown]];
  return (item) => operators.every(([operator, value]) => holds(operator, valueAt(item, key), value));
}

function holds(operator: string, actual: unknown, wanted: unknown): boolean {
  if (Array.isArray(actual)) return actual.some((each) => holds(operator, each, wanted));
  switch (operator) {
    case '+eq':
      return actual === wanted;
    case '+neq':
      return actual !== wanted;
    case '+contains':
      return String(actual).toLowerCase().includes(String(wanted).toLowerCase());
    case '+gt':
      return compare(actual, wanted) > 0;
    case '+gte':
      return compare(actual, wanted) >= 0;
    case '+lt':
      return compare(actual, wanted) < 0;
    case '+lte':
      return compare(actual, wanted) <= 0;
    default:
      throw refuse(`Invalid operator ${operator}`);
  }
}

function compare(a: unknown, b: unknown): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  return String(a) < String(b) ? -1 : String(a) > String(b) ? 1 : 0;
}

function valueAt(item: Item, path: string): unknown {
  return path.split('.').reduce<unknown>((value, key) => (value as Item | null | undefined)?.[key], item);
}
