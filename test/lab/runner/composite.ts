import type { CompositeRuns } from './action-model.ts';
import { stepScope } from './contexts.ts';
import { evaluateAll } from './expressions.ts';
import type { Frame, Outcome } from './job-run.ts';
import { runSteps, type StepCall } from './steps.ts';

/** A composite action: its steps in a frame of their own, which sees its inputs but not the secrets. */
export async function runComposite(
  call: StepCall,
  directory: string,
  runs: CompositeRuns,
  inputs: Readonly<Record<string, string>>,
): Promise<Outcome> {
  const frame: Frame = {
    ...call.frame,
    inputs,
    secrets: {},
    steps: {},
    env: { ...call.frame.env, ...call.env },
    github: { ...call.frame.github, action_path: directory },
    defaults: { shell: undefined, workingDirectory: undefined },
    depth: call.frame.depth + 1,
    print: call.print,
    status: 'success',
  };
  await runSteps(frame, runs.steps);
  const cancelled = frame.run.cancellation.cancelled() && frame.timeouts.every((signal) => !signal.aborted);
  return {
    conclusion: frame.status === 'failure' ? 'failure' : cancelled ? 'cancelled' : 'success',
    outputs: evaluateAll(runs.outputs, stepScope(frame)),
  };
}
