import { messageOf } from '../../../actions/core/errors.ts';
import { stepScope } from './contexts.ts';
import { fail } from './execute.ts';
import { evaluateText } from './expressions.ts';
import type { Outcome } from './job-run.ts';
import { type StandInCall, standInFor } from './stand-ins/index.ts';
import type { UsesStep } from './step-model.ts';
import type { StepCall } from './steps.ts';
import { unsupported } from './yaml.ts';

/** A foreign action through its stand-in, said so in the log. */
export async function runStandIn(call: StepCall, step: UsesStep): Promise<Outcome> {
  const standIn = standInFor(step.uses);
  if (standIn === undefined) throw unsupported(`uses: ${step.uses}`, step.usesAt);
  const { frame } = call;
  const { run } = frame;
  const scope = stepScope(frame, call.env);
  const inputs = { ...standIn.inputs };
  for (const [key, value] of Object.entries(step.with)) inputs[key] = evaluateText(value, scope);
  const outputs: Record<string, string> = {};
  const standInCall = (print: StepCall['print']): StandInCall => ({
    inputs,
    at: step.at,
    options: run.options,
    directories: run.directories,
    nodeBinary: run.nodeBinary,
    github: run.github,
    state,
    log: print,
    output: (name, value) => {
      outputs[name] = value;
    },
    addPath: (directory) => {
      run.path.unshift(directory);
    },
  });
  const state: Record<string, string> = {};
  const { post } = standIn;
  if (post !== undefined) {
    run.posts.push({
      name: `Post ${call.name}`,
      condition: standIn.postIf ?? 'always()',
      at: step.at,
      frame,
      run: async ({ print }) => await settle(call, print, async () => await post(standInCall(print))),
    });
  }
  call.print(`the lab's stand-in for ${step.uses}`);
  for (const key of Object.keys(step.with)) call.print(`  ${key}: ${inputs[key] ?? ''}`);
  const outcome = await settle(call, call.print, async () => await standIn.main(standInCall(call.print)));
  return { ...outcome, outputs };
}

async function settle(call: StepCall, print: StepCall['print'], work: () => Promise<void>): Promise<Outcome> {
  try {
    await work();
    return { conclusion: 'success', outputs: {} };
  } catch (error) {
    fail(call.frame.run, call.name, messageOf(error), print);
    return { conclusion: 'failure', outputs: {} };
  }
}
