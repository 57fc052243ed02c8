import type { Params, ResourcePage } from '@linode/api-v4';

/** All items of a list, through all its pages. */
export async function allPages<T>(list: (params: Params) => Promise<ResourcePage<T>>, pageSize = 500): Promise<T[]> {
  const items: T[] = [];
  for (let page = 1; ; page += 1) {
    const answer = await list({ page, page_size: pageSize });
    items.push(...answer.data);
    if (page >= answer.pages) return items;
  }
}
