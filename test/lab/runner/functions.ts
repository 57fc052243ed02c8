import { data } from '@actions/expressions';
import type { FunctionDefinition } from '@actions/expressions/funcs/info';
import { hashFiles } from './hash-files.ts';
import type { Conclusion } from './types.ts';

/** always(), success(), failure(), cancelled() for a status. In a composite action the first two look at the action's own. */
export function statusFunctions(status: Conclusion, cancelled: boolean): FunctionDefinition[] {
  return [
    statusFunction('always', () => true),
    statusFunction('cancelled', () => cancelled),
    statusFunction('success', () => status === 'success' && !cancelled),
    statusFunction('failure', () => status === 'failure' && !cancelled),
  ];
}

/**
 * For a job's `if`: `results` by job id of everything it needs, directly or not. As on GitHub, a job that was skipped or failed
 * anywhere upstream makes success() false.
 */
export function needsFunctions(results: ReadonlyMap<string, Conclusion>, cancelled: boolean): FunctionDefinition[] {
  const chosen = (names: readonly string[]): (Conclusion | undefined)[] =>
    names.length > 0 ? names.map((name) => results.get(name)) : [...results.values()];
  return [
    statusFunction('always', () => true),
    statusFunction('cancelled', () => cancelled),
    statusFunction('success', (names) => !cancelled && chosen(names).every((result) => result === 'success')),
    statusFunction('failure', (names) => chosen(names).includes('failure')),
  ];
}

export function hashFilesFunction(workspace: string): FunctionDefinition {
  return {
    name: 'hashFiles',
    minArgs: 1,
    maxArgs: 255,
    call: (...args) =>
      new data.StringData(
        hashFiles(
          workspace,
          args.map((arg) => arg.coerceString()),
        ),
      ),
  };
}

function statusFunction(name: string, test: (names: string[]) => boolean): FunctionDefinition {
  return {
    name,
    minArgs: 0,
    maxArgs: Number.MAX_SAFE_INTEGER,
    call: (...args) => new data.BooleanData(test(args.map((arg) => arg.coerceString()))),
  };
}
