/** Where a drill's scripts for the nodes are. */
export const nodeScripts = new URL('../../actions/drill/node/', import.meta.url).pathname;

/** When a fault takes effect, by what its script printed (ms since 1970). */
export function planned(printed: string): number {
  return Number(/^now (\d+)\d{6}$/m.exec(printed)?.[1]);
}
