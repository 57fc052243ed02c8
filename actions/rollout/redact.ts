import type { Secret } from '../core/secret.ts';

/** A function that takes the secrets out of a text. */
export function redactor(secrets: readonly Secret[]): (text: string) => string {
  const values = secrets.map((secret) => secret.reveal());
  return (text) => values.reduce((safe, value) => safe.replaceAll(value, '***'), text);
}
