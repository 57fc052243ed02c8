import type { JsonReply, JsonRequest } from '../json-server.ts';

/** One page of a list with GitHub's Link header: 30 a page unless asked, 100 at most; past the end is empty. */
export function page(request: JsonRequest, items: readonly unknown[]): JsonReply {
  const size = Math.min(100, positive(request.query.get('per_page'), 30));
  const number = positive(request.query.get('page'), 1);
  const last = Math.max(1, Math.ceil(items.length / size));
  const link = (rel: string, to: number) => {
    const query = new URLSearchParams(request.query);
    query.set('page', String(to));
    return `<${request.baseUrl}${request.path}?${query}>; rel="${rel}"`;
  };
  const links = [
    ...(number > 1 ? [link('prev', Math.min(number - 1, last))] : []),
    ...(number < last ? [link('next', number + 1), link('last', last)] : []),
    ...(number > 1 ? [link('first', 1)] : []),
  ];
  return {
    status: 200,
    body: items.slice((number - 1) * size, number * size),
    ...(links.length === 0 ? {} : { headers: { link: links.join(', ') } }),
  };
}

function positive(text: string | null, otherwise: number): number {
  const value = Number(text);
  return Number.isInteger(value) && value > 0 ? value : otherwise;
}
