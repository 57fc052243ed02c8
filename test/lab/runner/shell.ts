import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { stepScope } from './contexts.ts';
import { execute } from './execute.ts';
import { evaluateText } from './expressions.ts';
import type { Outcome } from './job-run.ts';
import type { RunStep } from './step-model.ts';
import type { StepCall } from './steps.ts';
import { unsupported } from './yaml.ts';

/** A `run:` step: the script in a file, given to the shell exactly as GitHub's runner gives it. */
export async function runShell(call: StepCall, step: RunStep): Promise<Outcome> {
  const { frame, print } = call;
  const { run } = frame;
  const scope = stepScope(frame, call.env);
  const shell = step.shell ?? frame.defaults.shell;
  const directory = step.workingDirectory ?? frame.defaults.workingDirectory;
  const script = evaluateText(step.run, scope);
  const file = join(run.directories.temp, `${randomUUID()}.sh`);
  writeFileSync(file, `${script}\n`);
  const argv = shellArgv(
    shell === undefined ? '' : evaluateText(shell, scope),
    file,
    run.container !== undefined,
    shell?.at ?? step.at,
  );
  print(`##[group]Run ${script.trim().split('\n')[0] ?? ''}`);
  for (const line of script.trimEnd().split('\n')) print(line);
  print(`shell: ${argv.join(' ').replace(file, '{0}')}`);
  print('##[endgroup]');
  const cwd =
    directory === undefined
      ? run.directories.workspace
      : resolve(run.directories.workspace, evaluateText(directory, scope));
  return await execute(frame, {
    step: call.name,
    argv,
    cwd,
    env: { ...call.env, GITHUB_ACTION: step.id === '' ? '__run' : step.id },
    print,
  });
}

/** Without `shell:` a container job gets sh, any other bash without pipefail; `shell: bash` adds pipefail. */
function shellArgv(shell: string, file: string, inContainer: boolean, at: string): string[] {
  if (shell === '') return inContainer ? ['sh', '-e', file] : ['bash', '-e', file];
  if (shell === 'bash') return ['bash', '--noprofile', '--norc', '-e', '-o', 'pipefail', file];
  if (shell === 'sh') return ['sh', '-e', file];
  if (shell.includes('{0}')) return shell.split(/\s+/).map((word) => word.replace('{0}', file));
  throw unsupported(`shell '${shell}'`, at);
}
