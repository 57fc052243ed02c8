import { join } from 'node:path';
import type { NodeRuns } from './action-model.ts';
import { execute } from './execute.ts';
import type { Outcome } from './job-run.ts';
import type { UsesStep } from './step-model.ts';
import type { StepCall } from './steps.ts';

/** A JavaScript action under Node 24; its `post` is put down for the end of the job before `main` starts. */
export async function runNodeAction(
  call: StepCall,
  step: UsesStep,
  directory: string,
  runs: NodeRuns,
  inputs: Readonly<Record<string, string>>,
): Promise<Outcome> {
  const { run } = call.frame;
  const frame = { ...call.frame, github: { ...call.frame.github, action_path: directory } };
  const env = {
    ...call.env,
    GITHUB_ACTION: step.id === '' ? '__self' : step.id,
    ...Object.fromEntries(Object.entries(inputs).map(([key, value]) => [inputVariable(key), value])),
  };
  const state: Record<string, string> = {};
  const start = async (script: string, print: StepCall['print'], timeouts: Frame['timeouts']): Promise<Outcome> => {
    const result = await execute(
      { ...frame, timeouts },
      {
        step: call.name,
        argv: [run.nodeBinary, join(directory, script)],
        cwd: run.directories.workspace,
        env: { ...env, ...Object.fromEntries(Object.entries(state).map(([key, value]) => [`STATE_${key}`, value])) },
        print,
      },
    );
    Object.assign(state, result.state);
    return result;
  };
  const { post } = runs;
  if (post !== undefined) {
    run.posts.push({
      name: `Post ${call.name}`,
      condition: runs.postIf,
      at: step.at,
      frame,
      run: async ({ print }) => await start(post, print, []),
    });
  }
  call.print(`##[group]Run ${step.uses}`);
  for (const [key, value] of Object.entries(inputs)) if (value !== '') call.print(`  ${key}: ${value}`);
  call.print('##[endgroup]');
  return await start(runs.main, call.print, frame.timeouts);
}

type Frame = StepCall['frame'];

/** Upper case with spaces as underscores; hyphens stay, as @actions/core expects. */
function inputVariable(name: string): string {
  return `INPUT_${name.replaceAll(' ', '_').toUpperCase()}`;
}
