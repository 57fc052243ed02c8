import type { JsonReply, JsonRequest } from '../json-server.ts';
import { ApiRefusal } from './errors.ts';

/** One page of a list, as Linode answers it: `{data, page, pages, results}`. */
export function page(request: JsonRequest, items: readonly unknown[]): JsonReply {
  const size = Number(request.query.get('page_size') ?? 100);
  const number = Number(request.query.get('page') ?? 1);
  const pages = Math.max(1, Math.ceil(items.length / size));
  if (number > pages) throw new ApiRefusal(404, [{ reason: 'Not found' }]);
  const data = items.slice((number - 1) * size, number * size);
  return { status: 200, body: { data, page: number, pages, results: items.length } };
}
