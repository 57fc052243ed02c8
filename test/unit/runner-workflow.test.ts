import { describe, expect, it } from 'vitest';
import { oneJob, PIN, repoWith } from './runner-repo.ts';

describe('a workflow run', () => {
  it('gives steps the environment of workflow, job and step, the nearest winning', async () => {
    const repo = repoWith(`
on: push
env: { A: workflow, B: workflow, C: "\${{ github.ref_name }}" }
jobs:
  a:
    runs-on: ubuntu-24.04
    env: { B: job }
    steps:
      - env: { A: step }
        run: echo "$A $B $C \${{ env.A }} $GITHUB_EVENT_NAME $GITHUB_REPOSITORY $CI $GITHUB_API_URL"
      - run: echo "A=from-file" >> "$GITHUB_ENV"; echo /extra/bin >> "$GITHUB_PATH"
      - run: echo "now $A in $PATH"
`);
    expect((await repo.run()).conclusion).toBe('success');
    expect(repo.output).toContain('step job main step push owner/repo true http://127.0.0.1:9');
    expect(repo.output.some((line) => line.startsWith('now from-file in /extra/bin:'))).toBe(true);
  });

  it('hides what the host has in its environment', async () => {
    process.env.RUNNER_TEST_LEAK = 'leak';
    const repo = repoWith(oneJob('      - run: echo "got [$RUNNER_TEST_LEAK]"\n'));
    await repo.run();
    delete process.env.RUNNER_TEST_LEAK;
    expect(repo.output).toContain('got []');
  });

  it('passes outputs from step to step and from job to job', async () => {
    const repo = repoWith(`
on: push
jobs:
  first:
    runs-on: ubuntu-24.04
    outputs: { word: "\${{ steps.make.outputs.word }}", text: "\${{ steps.make.outputs.text }}" }
    steps:
      - id: make
        run: |
          echo word=hello >> "$GITHUB_OUTPUT"
          printf 'text<<END\\none\\ntwo\\nEND\\n' >> "$GITHUB_OUTPUT"
  second:
    needs: first
    runs-on: ubuntu-24.04
    steps:
      - run: echo '\${{ needs.first.outputs.word }} \${{ needs.first.result }} \${{ toJSON(needs.first.outputs.text) }}'
`);
    await repo.run();
    expect(repo.output).toContain(String.raw`hello success "one\ntwo"`);
  });

  it('dedents a script with expressions as GitHub does', async () => {
    const repo = repoWith(
      oneJob('      - run: |\n          cat <<END\n          ${{ github.ref }}\n            indented\n          END\n'),
    );
    expect((await repo.run()).conclusion).toBe('success');
    expect(repo.output).toContain('refs/heads/main');
    expect(repo.output).toContain('  indented');
  });

  it('goes on after a failure only where a condition asks for it', async () => {
    const repo = repoWith(`
on: push
jobs:
  a:
    runs-on: ubuntu-24.04
    steps:
      - { id: tolerated, run: exit 3, continue-on-error: true }
      - { if: "steps.tolerated.outcome == 'failure' && steps.tolerated.conclusion == 'success'", run: echo went on }
      - run: exit 4
      - run: echo never
      - { if: failure(), run: echo after failure }
      - { if: "always() && github.ref == 'refs/heads/main'", run: echo always }
      - { if: "\${{ !cancelled() }}", run: echo not cancelled }
  b: { needs: a, runs-on: ubuntu-24.04, steps: [{ run: echo b }] }
  c: { needs: [a, b], if: failure(), runs-on: ubuntu-24.04, steps: [{ run: echo c ran }] }
`);
    const result = await repo.run();
    expect(result.conclusion).toBe('failure');
    expect(result.jobs.map((job) => [job.id, job.conclusion])).toEqual([
      ['a', 'failure'],
      ['b', 'skipped'],
      ['c', 'success'],
    ]);
    for (const line of ['went on', 'after failure', 'always', 'not cancelled', 'c ran'])
      expect(repo.output).toContain(line);
    expect(repo.output).not.toContain('never');
    expect(result.annotations.map((each) => each.message)).toContain('Process completed with exit code 4.');
  });

  it('runs bash without pipefail unless bash is asked for by name, and sh on request', async () => {
    const repo = repoWith(
      `
on: push
jobs:
  a:
    runs-on: ubuntu-24.04
    steps:
      - run: false | true
      - { run: "echo \${BASH_VERSION:-no bash}", shell: sh }
      - { run: pwd, working-directory: /tmp }
      - { run: false | true, shell: bash }
`.replaceAll('run: false | true', 'run: "false | true"'),
    );
    const result = await repo.run();
    expect(result.jobs[0]?.steps.map((step) => step.conclusion)).toEqual(['success', 'success', 'success', 'failure']);
    expect(repo.output).toContain('/tmp');
  });

  it('keeps secrets, masked values and their encodings out of every line and file', async () => {
    const repo = repoWith(`
on: push
jobs:
  a:
    runs-on: ubuntu-24.04
    outputs: { secret: "\${{ steps.s.outputs.secret }}", plain: ok }
    steps:
      - id: s
        name: with \${{ secrets.PASSWORD }}
        run: |
          echo "it is \${{ secrets.PASSWORD }}, $(printf '\${{ secrets.PASSWORD }}' | base64)"
          day=tuesd; echo "::add-mask::\${day}ay"
          echo "only on \${day}ay"
          echo "::error::\${{ secrets.PASSWORD }}"
          echo "secret=\${{ secrets.PASSWORD }}" >> "$GITHUB_OUTPUT"
          echo "summary \${{ secrets.PASSWORD }}" >> "$GITHUB_STEP_SUMMARY"
      - run: echo "token \${{ github.token }} \${{ secrets.GITHUB_TOKEN }}"
`);
    const result = await repo.run();
    expect(result.jobs[0]?.outputs).toEqual({ plain: 'ok' });
    expect(result.jobs[0]?.summary).toBe('summary ***\n');
    expect(repo.output).toContain('it is ***, ***');
    expect(repo.output).toContain('only on ***');
    expect(repo.output).toContain('token *** ***');
    const logs = repo.stepLog(result, 'a', 'with') + repo.steps.join() + repo.output.join() + JSON.stringify(result);
    expect(logs).not.toMatch(/correct horse|Y29ycmVjdCBob3JzZQ|on tuesday/);
  });

  it('records annotations with their places, and stops reading commands where it is told to', async () => {
    const repo = repoWith(
      oneJob(`      - run: |
          echo "::warning file=src/a.c,line=3,col=5::unused%0Avariable"
          echo "::stop-commands::pause"
          echo "::error::not a command"
          echo "::pause::"
          echo "::notice title=T::back"
`),
    );
    const result = await repo.run();
    expect(result.annotations).toMatchObject([
      { level: 'warning', message: 'unused\nvariable', properties: { file: 'src/a.c', line: '3', col: '5' } },
      { level: 'notice', message: 'back', properties: { title: 'T' } },
    ]);
    expect(repo.output).toContain('::error::not a command');
  });

  it('checks out the commit of the event, cut off at its depth', async () => {
    const repo = repoWith(
      oneJob(`      - run: test ! -e package.json
      - uses: actions/checkout@${PIN}
        with: { persist-credentials: false }
      - run: |
          echo "head $(git rev-parse HEAD) on $(git branch --show-current), \${{ hashFiles('package.json') }}"
          git status --short
`),
    );
    expect((await repo.run()).conclusion).toBe('success');
    const hash = /head (\w+) on main, ([0-9a-f]{64})$/;
    expect(repo.output.map((line) => hash.exec(line)?.[1]).find(Boolean)).toBe(repo.sha);
  });

  it('evaluates inputs of workflow_dispatch by their types and defaults', async () => {
    const repo = repoWith(`
on:
  workflow_dispatch:
    inputs:
      name: { type: string, default: lab }
      dry: { type: boolean, default: false }
      level: { type: choice, options: [low, high] }
concurrency: { group: "fleet-\${{ inputs.name || vars.NAME }}", queue: max }
jobs:
  a:
    runs-on: ubuntu-24.04
    steps:
      - run: echo "\${{ inputs.name }} \${{ inputs.dry == false }} \${{ inputs.level }} \${{ vars.NAME }}"
      - { if: inputs.dry, run: echo never }
`);
    const result = await repo.run({ event: { name: 'workflow_dispatch', inputs: { name: 'x' } }, vars: { NAME: 'v' } });
    expect(repo.output).toContain('x true low v');
    expect(repo.output).not.toContain('never');
    expect(result.concurrency).toEqual({ group: 'fleet-x', queue: 'max', cancelInProgress: false });
  });
});
