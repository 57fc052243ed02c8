import { inspect } from 'node:util';

/**
 * A value that must not reach a log, a comment, a diff or an error. Printing, JSON and inspection give `***`;
 * only `reveal()` gives the value, at the place where it is used.
 */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return '***';
  }

  toJSON(): string {
    return '***';
  }

  [inspect.custom](): string {
    return '***';
  }
}
