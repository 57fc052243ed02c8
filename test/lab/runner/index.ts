/**
 * A workflow file run as GitHub's runner runs it. Parsing and rules are GitHub's own packages (schema.ts); the model that is run is
 * read beside them with a place for everything (yaml.ts, workflow-model.ts, step-model.ts, action-model.ts). workflow.ts orders jobs,
 * job.ts runs one, steps.ts one step, by shell.ts, javascript.ts, composite.ts or a stand-in; execute.ts is the one place where a
 * process starts. Foreign actions are in stand-ins/. What it can't do is an error with file:line:column.
 */
export { cancelOnSignals } from './cancellation.ts';
export { killStrays } from './process.ts';
export { checkAction, checkWorkflow } from './schema.ts';
export { type SeedOptions, seedCache } from './seed.ts';
export type * from './types.ts';
export { runWorkflow } from './workflow.ts';
