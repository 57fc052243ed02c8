import { registerHooks } from 'node:module';
import { FiredrillError } from '../../../actions/core/errors.ts';

// GitHub's packages import their JSON without `with { type: 'json' }`, which Node refuses; bundlers do not notice.
registerHooks({
  resolve(specifier, context, next) {
    const found = next(specifier, context);
    return /\/@actions\/.*\.json$/.test(found.url) ? { ...found, importAttributes: { type: 'json' } } : found;
  },
});

const { convertWorkflowTemplate, NoOperationTraceWriter, parseWorkflow } = await import('@actions/workflow-parser');
const { convertActionTemplate, parseAction } = await import('@actions/workflow-parser/actions/index');
const { ensureStatusFunction } = await import('@actions/workflow-parser/model/converter/if-condition');

type ParseResult = ReturnType<typeof parseWorkflow>;

/**
 * Holds a workflow against GitHub's own schema and its rules about needs, ids and expressions.
 * Throws a FiredrillError (`config`) with every mistake, each as file:line:column.
 */
export async function checkWorkflow(file: string, content: string): Promise<void> {
  const result = parseWorkflow({ name: file, content }, new NoOperationTraceWriter());
  if (result.value !== undefined) await convertWorkflowTemplate(result.context, result.value);
  throwErrors(file, result);
}

/** The same for an action.yml. */
export function checkAction(file: string, content: string): void {
  const result = parseAction({ name: file, content }, new NoOperationTraceWriter());
  if (result.value !== undefined) convertActionTemplate(result.context, result.value);
  throwErrors(file, result);
}

/** `success() && (CONDITION)` unless the condition asks for the status itself; `success()` for an empty one. */
export function withStatusFunction(condition: string): string {
  if (condition.trim() === '') return 'success()';
  const scope = { allowedContext: CONDITION_SCOPE } as Parameters<typeof ensureStatusFunction>[1];
  return ensureStatusFunction(condition, scope);
}

const CONDITION_SCOPE = [
  ...['github', 'inputs', 'vars', 'needs', 'strategy', 'matrix', 'secrets', 'steps', 'job', 'runner', 'env'],
  ...['always(0,0)', 'cancelled(0,0)', 'success(0,MAX)', 'failure(0,MAX)', 'hashFiles(1,255)'],
];

function throwErrors(file: string, result: ParseResult): void {
  const errors = result.context.errors.getErrors().map((error) => {
    const start = error.range?.start;
    return start === undefined
      ? `${file}: ${error.rawMessage}`
      : `${file}:${start.line}:${start.column}: ${error.rawMessage}`;
  });
  if (errors.length > 0) throw new FiredrillError({ code: 'config', what: [...new Set(errors)].join('\n') });
}
