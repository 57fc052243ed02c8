import { FiredrillError } from '../../actions/core/errors.ts';

/** The whole number, from 1 to `most`, that an option was given. Throws a FiredrillError (`config`) when it is none. */
export function countOf(option: string, text: string, most: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= most) return value;
  const fix = `Give a whole number from 1 to ${most}`;
  throw new FiredrillError({ code: 'config', what: `${option} is "${text}"`, fix });
}
