import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import { FiredrillError } from '../../../actions/core/errors.ts';

/** A YAML value that knows where it stands. */
export interface Item {
  readonly node: Node | null;
  /** file:line:column */
  readonly at: string;
  readonly place: (node: Node | null) => string;
}

export interface Entry {
  readonly key: string;
  readonly at: string;
  readonly value: Item;
}

/** A scalar, which may hold `${{ }}`. */
export interface Scalar {
  readonly value: string | number | boolean | null;
  readonly at: string;
}

/** Reads a file that GitHub's parser has accepted; syntax errors are its business. */
export function readYaml(file: string, content: string): Item {
  const lines = new LineCounter();
  const document = parseDocument(content, { lineCounter: lines });
  const place = (node: Node | null): string => {
    const offset = node?.range?.[0];
    if (offset === undefined) return file;
    const { line, col } = lines.linePos(offset);
    return `${file}:${line}:${col}`;
  };
  const resolve = (node: Node | null): Node | null => (isAlias(node) ? (node.resolve(document) ?? null) : node);
  const wrap = (node: Node | null): Item => ({ node: resolve(node), at: place(node), place });
  return wrap(document.contents);
}

/** The entries of a mapping, in order. Throws when it isn't one. */
export function entries(item: Item): Entry[] {
  if (!isMap(item.node)) throw unsupported('a mapping was expected here', item.at);
  return item.node.items.map((pair) => {
    const key = pair.key as Node;
    const value = (pair.value ?? null) as Node | null;
    if (!isScalar(key)) throw unsupported('this key', item.place(key));
    return { key: String(key.value), at: item.place(key), value: child(item, value, item.place(key)) };
  });
}

/** The entries of a mapping by name; an absent one has none. */
export function fields(item: Item | undefined): Map<string, Entry> {
  return new Map(item === undefined ? [] : entries(item).map((entry) => [entry.key, entry]));
}

/** The elements of a sequence; a lone scalar counts as one element. */
export function elements(item: Item): Item[] {
  if (!isSeq(item.node)) return [item];
  return item.node.items.map((node) => child(item, node as Node, item.at));
}

export function isMapping(item: Item): boolean {
  return isMap(item.node);
}

export function scalar(item: Item): Scalar {
  if (item.node === null) return { value: null, at: item.at };
  if (!isScalar(item.node)) throw unsupported('a single value was expected here', item.at);
  return { value: item.node.value as Scalar['value'], at: item.at };
}

export function text(item: Item): string {
  const { value } = scalar(item);
  return value === null ? '' : String(value);
}

/** A mapping of scalars: env, with, outputs. */
export function scalars(item: Item | undefined): Record<string, Scalar> {
  if (item === undefined || item.node === null) return {};
  return Object.fromEntries(entries(item).map((entry) => [entry.key, scalar(entry.value)]));
}

/** What this runner can't do is an error that names it and its place; nothing is skipped in silence. */
export function unsupported(what: string, at: string): FiredrillError {
  return new FiredrillError({ code: 'config', what: `${what}: not supported by the lab's runner`, where: at });
}

function child(parent: Item, node: Node | null, fallback: string): Item {
  return { node, at: node === null ? fallback : parent.place(node), place: parent.place };
}
