import { asFiredrillError, FiredrillError, messageOf } from '../core/errors.ts';

/** The error with more lines to its text; as it was when there are none. Pure. */
export function withMore(error: unknown, more: readonly string[]): unknown {
  if (more.length === 0) return error;
  const { facts } = asFiredrillError(error);
  return new FiredrillError({ ...facts, what: [facts.what, ...more].join('\n'), cause: error });
}

/** Throws when any of these failed: the first failure, with what the others said below it. */
export function throwFailures(settled: readonly PromiseSettledResult<unknown>[]): void {
  const [first, ...others] = settled.filter((each) => each.status === 'rejected');
  if (first !== undefined)
    throw withMore(
      first.reason,
      others.map((each) => messageOf(each.reason)),
    );
}
