import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { TextDocument } from 'vscode-languageserver-textdocument';
import { parse } from 'yaml';
import { checkAction, checkWorkflow } from '../lab/runner/index.ts';
import { standInFor } from '../lab/runner/stand-ins/index.ts';
import { readWorkflow } from '../lab/runner/workflow-model.ts';

// After the runner, whose module hook lets Node load what GitHub's packages import.
const { validate } = await import('@actions/languageservice');

interface Step {
  readonly uses?: string;
  readonly with?: Readonly<Record<string, unknown>>;
}

interface Action {
  readonly inputs?: Readonly<
    Record<string, { readonly default?: string; readonly required?: boolean; readonly description: string }>
  >;
  readonly outputs?: Readonly<Record<string, unknown>>;
  readonly runs: { readonly steps?: readonly Step[] };
}

interface Workflow {
  readonly permissions: unknown;
  readonly concurrency?: { readonly group: string; readonly 'cancel-in-progress'?: boolean; readonly queue?: string };
  readonly jobs: Readonly<
    Record<
      string,
      { readonly permissions?: unknown; readonly 'timeout-minutes'?: number; readonly steps: readonly Step[] }
    >
  >;
}

const text = (file: string): string => readFileSync(file, 'utf8');
const workflowFiles = globSync('.github/workflows/*.yml').sort();
const actionFiles = globSync(['actions/*/action.yml', '.github/actions/*/action.yml']).sort();
const ownActions = readdirSync('actions').filter((name) => existsSync(`actions/${name}/index.ts`));
const workflow = (file: string): Workflow => parse(text(file)) as Workflow;
const action = (file: string): Action => parse(text(file)) as Action;

/** What GitHub's editor would underline. */
async function complaints(file: string): Promise<string[]> {
  const document = TextDocument.create(`file:///${file}`, 'yaml', 1, text(file));
  return (await validate(document)).map((each) => `${file}:${each.range.start.line + 1}: ${each.message}`);
}

/** Every step of every job and composite action, with the file it stands in. */
const steps: [string, Step][] = [
  ...workflowFiles.flatMap((file) =>
    Object.values(workflow(file).jobs).flatMap((job) => job.steps.map((step) => [file, step] as [string, Step])),
  ),
  ...actionFiles.flatMap((file) => (action(file).runs.steps ?? []).map((step) => [file, step] as [string, Step])),
];

describe.each(workflowFiles)('%s', (file) => {
  it("is accepted by GitHub's parser, its language service and the lab's runner", async () => {
    await checkWorkflow(file, text(file));
    expect(await complaints(file)).toEqual([]);
    expect((await readWorkflow(file, file)).jobs.length).toBeGreaterThan(0);
  });

  it('starts without permissions, says why each job has its own, and gives each job a deadline', () => {
    expect(workflow(file).permissions).toEqual({});
    for (const [id, job] of Object.entries(workflow(file).jobs)) {
      expect(job.permissions, id).toBeDefined();
      expect(job['timeout-minutes'], id).toBeGreaterThan(0);
    }
    const granted = text(file)
      .split('\n')
      .filter((line) => /^ {6}[a-z-]+: (read|write)\b/.test(line));
    for (const line of granted) expect(line).toMatch(/(read|write) # \S/);
  });
});

describe.each(actionFiles)('%s', (file) => {
  it("is accepted by GitHub's parser and its language service", async () => {
    checkAction(file, text(file));
    expect(await complaints(file)).toEqual([]);
  });
});

describe('steps', () => {
  it('pin foreign actions to a full commit with the version beside it, one commit an action', () => {
    const pins = new Map<string, string>();
    for (const file of [...workflowFiles, ...actionFiles]) {
      for (const line of text(file)
        .split('\n')
        .filter((each) => /^\s*(- )?uses: (?!\.\/)/.test(each))) {
        expect(line, file).toMatch(/uses: [\w.-]+\/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
        const [name = '', pin = ''] = line.replace(/.*uses: /, '').split('@');
        expect(pins.get(name) ?? pin, `${name} in ${file}`).toBe(pin);
        pins.set(name, pin);
        expect(standInFor(name), `${name} has a stand-in in the lab`).toBeDefined();
      }
    }
    expect(pins.size).toBeGreaterThan(0);
  });

  it('use actions of this repository that exist, with inputs that they have and all that they require', () => {
    for (const [file, step] of steps.filter(([, each]) => each.uses?.startsWith('./'))) {
      const manifest = `${step.uses?.slice(2)}/action.yml`;
      const { inputs = {} } = action(manifest);
      for (const name of Object.keys(step.with ?? {}))
        expect(Object.keys(inputs), `${file}: ${step.uses}`).toContain(name);
      for (const [name, input] of Object.entries(inputs)) {
        if (input.required === true && input.default === undefined)
          expect(Object.keys(step.with ?? {}), `${file}: ${step.uses}`).toContain(name);
      }
    }
  });

  it('pass secrets to actions by input only, never through env', () => {
    for (const file of [...workflowFiles, ...actionFiles]) {
      const uses = text(file)
        .split('\n')
        .filter((line) => line.includes('secrets.'));
      for (const line of uses)
        expect(line, file).toMatch(
          /^ {10}(linode-token|secret|alert-secret|watchdog-url): \$\{\{ secrets\.(LINODE_TOKEN|FIREDRILL_SECRET|ALERT_SECRET|WATCHDOG_URL) \}\}$/,
        );
    }
  });
});

describe('deploy and drill', () => {
  it('share one queue for each environment, in which nothing is dropped or cancelled', () => {
    const [deploy, drill] = ['deploy', 'drill'].map((name) => workflow(`.github/workflows/${name}.yml`).concurrency);
    expect(deploy).toEqual(drill);
    expect(deploy).toMatchObject({ queue: 'max', 'cancel-in-progress': false });
  });
});

describe.each(ownActions)('actions/%s', (name) => {
  it('declares the inputs and outputs that its code reads and writes', async () => {
    const code = (await import(`../../actions/${name}/inputs.ts`)) as { inputNames: string[]; outputNames: string[] };
    const { inputs = {}, outputs = {} } = action(`actions/${name}/action.yml`);
    expect(Object.keys(inputs).sort()).toEqual([...code.inputNames].sort());
    expect(Object.keys(outputs).sort()).toEqual([...code.outputNames].sort());
  });
});
