import { resolve } from 'node:path';
import { messageOf } from '../../../actions/core/errors.ts';
import { readAction } from './action-model.ts';
import { runComposite } from './composite.ts';
import { stepScope } from './contexts.ts';
import { annotate, fail } from './execute.ts';
import { evaluate, evaluateAll, evaluateCondition, evaluateMinutes, evaluateText } from './expressions.ts';
import { runNodeAction } from './javascript.ts';
import type { Frame, JobRun, Outcome, StepContext } from './job-run.ts';
import { runShell } from './shell.ts';
import { runStandIn } from './stand-in-step.ts';
import { stepLine } from './step-log.ts';
import type { Step } from './step-model.ts';
import type { StepResult } from './types.ts';

/** What one step needs to know while it runs. */
export interface StepCall {
  readonly frame: Frame;
  readonly name: string;
  /** The step's own env, evaluated. */
  readonly env: Readonly<Record<string, string>>;
  readonly print: (line: string) => void;
}

/** Runs the steps of a job or of a composite action in order. A failure does not end the loop: later conditions decide. */
export async function runSteps(frame: Frame, steps: readonly Step[]): Promise<void> {
  for (const step of steps) await runStep(frame, step);
}

async function runStep(frame: Frame, step: Step): Promise<void> {
  const started = performance.now();
  const name = stepName(frame, step);
  const print = frame.print ?? frame.run.log.open(name);
  const outcome = await attempt(frame, step, name, print);
  const tolerated = outcome.conclusion === 'failure' && isTolerated(frame, step);
  const conclusion = tolerated ? 'success' : outcome.conclusion;
  const context: StepContext = { outputs: outcome.outputs, outcome: outcome.conclusion, conclusion };
  if (step.id !== '') frame.steps[step.id] = context;
  if (conclusion === 'failure') frame.status = 'failure';
  const ms = performance.now() - started;
  frame.run.results.push(stepResult(frame.run, step.id, name, ms, context));
  frame.run.log.summary(stepLine(tolerated ? 'tolerated' : conclusion, ms, name, frame.depth));
}

/** A step for the run's result, which may be printed or saved, and so masked. */
export function stepResult(run: JobRun, id: string, name: string, ms: number, context: StepContext): StepResult {
  const outputs = Object.entries(context.outputs).map(([key, value]) => [key, run.masks.apply(value)] as const);
  return { ...context, id, name: run.masks.apply(name), ms, outputs: Object.fromEntries(outputs) };
}

type Attempt = Omit<Outcome, 'conclusion'> & { conclusion: Outcome['conclusion'] | 'skipped' };

async function attempt(frame: Frame, step: Step, name: string, print: (line: string) => void): Promise<Attempt> {
  try {
    const env = evaluateAll(step.env, stepScope(frame));
    if (!evaluateCondition(step.condition, stepScope(frame, env), step.at)) {
      print(`skipped: ${step.condition} is false`);
      return { conclusion: 'skipped', outputs: {} };
    }
    return await withTimeout(
      frame,
      step,
      async (limited) => await dispatch({ frame: limited, name, env, print }, step),
    );
  } catch (error) {
    fail(frame.run, name, messageOf(error), print);
    return { conclusion: 'failure', outputs: {} };
  }
}

async function dispatch(call: StepCall, step: Step): Promise<Outcome> {
  if (step.kind === 'run') return await runShell(call, step);
  if (!step.uses.startsWith('./')) return await runStandIn(call, step);
  const directory = resolve(call.frame.run.directories.workspace, step.uses);
  const action = readAction(directory, step.uses.slice(2), step.usesAt);
  const scope = stepScope(call.frame, call.env);
  const given = evaluateAll(step.with, scope);
  for (const key of Object.keys(given).filter((candidate) => !(candidate in action.inputs))) {
    const message = `Unexpected input '${key}', valid inputs are ${Object.keys(action.inputs).join(', ')}`;
    annotate(call.frame.run, 'warning', call.name, message);
    call.print(`##[warning]${message}`);
  }
  const inputs: Record<string, string> = { ...given };
  for (const [key, value] of Object.entries(action.inputs)) {
    if (!(key in inputs)) inputs[key] = value === undefined ? '' : evaluateText(value, scope);
  }
  const { runs } = action;
  if (runs.using === 'composite') return await runComposite(call, action.directory, runs, inputs);
  return await runNodeAction(call, step, action.directory, runs, inputs);
}

/** Runs the work with a frame whose processes stop when the step's own timeout-minutes are over. */
async function withTimeout<T>(frame: Frame, step: Step, work: (frame: Frame) => Promise<T>): Promise<T> {
  if (step.timeoutMinutes === undefined) return await work(frame);
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), evaluateMinutes(step.timeoutMinutes, stepScope(frame)));
  try {
    return await work({ ...frame, timeouts: [...frame.timeouts, controller.signal] });
  } finally {
    clearTimeout(timer);
  }
}

function isTolerated(frame: Frame, step: Step): boolean {
  return step.continueOnError !== undefined && evaluate(step.continueOnError, stepScope(frame)) === true;
}

function stepName(frame: Frame, step: Step): string {
  // Without the commit that an action is pinned to: nobody reads it.
  const fallback = `Run ${step.kind === 'uses' ? step.uses.split('@')[0] : String(step.run.value).trim().split('\n')[0]}`;
  if (step.name === undefined) return fallback;
  try {
    return evaluateText(step.name, stepScope(frame));
  } catch {
    return fallback;
  }
}
