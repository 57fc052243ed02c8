import { type ParseArgsConfig, parseArgs } from 'node:util';
import { FiredrillError, messageOf } from '../../actions/core/errors.ts';

type Options = NonNullable<ParseArgsConfig['options']>;
type Values<O extends Options> = ReturnType<typeof parseArgs<{ options: O }>>['values'];

/**
 * Runs a benchmark as a command: `--help` prints the usage, else `work` gets the options and gives the exit code. What is wrong is said in
 * a line, with a stack only where it is a bug of ours, and ends with 1. Never throws.
 */
export async function runCommand<const O extends Options>(
  usage: string,
  options: O,
  work: (values: Values<O>) => Promise<number>,
): Promise<void> {
  try {
    if (process.argv.includes('--help')) console.log(usage);
    else process.exitCode = await work(valuesOf(options));
  } catch (error) {
    console.error(messageOf(error));
    if (!(error instanceof FiredrillError) || error.code === 'bug') console.error((error as Error).stack);
    process.exitCode = 1;
  }
}

function valuesOf<O extends Options>(options: O): Values<O> {
  try {
    return parseArgs<{ options: O }>({ options }).values;
  } catch (error) {
    throw new FiredrillError({ code: 'config', what: messageOf(error), fix: '--help says what there is' });
  }
}
