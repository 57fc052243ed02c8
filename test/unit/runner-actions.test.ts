import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { seedCache } from '../lab/runner/index.ts';
import { oneJob, PIN, repoWith } from './runner-repo.ts';

const CHECKOUT = `      - uses: actions/checkout@${PIN}\n`;

describe('actions', () => {
  it('runs a JavaScript action under Node 24 with its inputs, and its post steps last first, with their state', async () => {
    const script = `import { appendFileSync } from 'node:fs';
console.log('main of', process.env['INPUT_THE-NAME'], process.env.INPUT_REF, process.version.split('.')[0], process.cwd() === process.env.GITHUB_WORKSPACE);
appendFileSync(process.env.GITHUB_STATE, 'name=' + process.env['INPUT_THE-NAME'] + '\\n');
appendFileSync(process.env.GITHUB_OUTPUT, 'greeting=hello ' + process.env['INPUT_THE-NAME'] + '\\n');`;
    const repo = repoWith(
      oneJob(`${CHECKOUT}      - { id: one, uses: ./act, with: { the-name: one, odd: 1 } }
      - { uses: ./act, with: { the-name: two } }
      - run: echo "\${{ steps.one.outputs.greeting }}"
      - run: exit 1
`),
      {
        'act/action.yml': `name: act
description: test
inputs: { the-name: { description: d, required: true }, ref: { description: d, default: "\${{ github.ref }}" } }
outputs: { greeting: { description: d } }
runs: { using: node24, main: main.js, post: post.js }
`,
        'act/main.js': script,
        'act/post.js': "console.log('post of', process.env.STATE_name)",
      },
    );
    const result = await repo.run();
    expect(repo.output).toContain('main of one refs/heads/main v24 true');
    expect(repo.output).toContain('hello one');
    expect(repo.output.filter((line) => line.startsWith('post of'))).toEqual(['post of two', 'post of one']);
    expect(result.annotations.map((each) => each.message)).toContain(
      "Unexpected input 'odd', valid inputs are the-name, ref",
    );
  });

  it('runs a composite action in a frame of its own', async () => {
    const repo = repoWith(
      oneJob(`${CHECKOUT}      - { id: c, uses: ./composite, env: { WORD: outer }, with: { what: given } }
      - run: echo "out \${{ steps.c.outputs.result }} [\${{ steps.inner.outputs.result }}]"
      - { id: bad, uses: ./composite, with: { what: fail }, continue-on-error: true }
      - run: echo "bad \${{ steps.bad.outcome }} [\${{ steps.bad.outputs.result }}]"
`),
      {
        'composite/action.yml': `name: composite
description: test
inputs: { what: { description: d }, other: { description: d, default: standard } }
outputs: { result: { description: d, value: "\${{ steps.inner.outputs.result }}" } }
runs:
  using: composite
  steps:
    - { run: 'test "\${{ inputs.what }}" != fail', shell: bash }
    - id: inner
      run: echo "result=\${{ inputs.what }} \${{ inputs.other }} $WORD" >> "$GITHUB_OUTPUT"
      shell: bash
    - { if: failure(), run: echo tidied in $(basename "$GITHUB_ACTION_PATH"), shell: bash }
`,
      },
    );
    expect((await repo.run()).conclusion).toBe('success');
    expect(repo.output).toContain('out given standard outer []');
    expect(repo.output).toContain('bad failure []');
    expect(repo.output).toContain('tidied in composite');
  });

  it('carries artifacts between jobs without their modes', async () => {
    const repo = repoWith(`
on: push
jobs:
  make:
    runs-on: ubuntu-24.04
    steps:
      - run: mkdir -p out/b && echo 1 > out/b/tool && echo 2 > out/b/sum && chmod +x out/b/tool
      - { uses: "actions/upload-artifact@${PIN}", with: { name: tools, path: "out/b/tool\\nout/b/sum", if-no-files-found: error } }
  use:
    needs: make
    runs-on: ubuntu-24.04
    steps:
      - { uses: "actions/download-artifact@${PIN}", with: { name: tools, path: in } }
      - run: test ! -x in/tool && cat in/tool in/sum
      - { uses: "actions/upload-artifact@${PIN}", with: { name: none, path: nothing, if-no-files-found: error } }
`);
    const result = await repo.run();
    expect(result.jobs[1]?.steps.map((step) => step.conclusion)).toEqual(['success', 'success', 'failure']);
    expect(existsSync(join(result.artifacts.tools ?? '', 'sum'))).toBe(true);
  });

  it('restores a cache by its key, saves it once after success, and can be seeded from the step itself', async () => {
    const repo = repoWith(
      oneJob(`${CHECKOUT}      - { id: own, uses: ./setup }
      - run: test -e packages/one || { mkdir packages; echo fresh > packages/one; }
      - run: cat packages/one
`),
      {
        lock: '1',
        'setup/action.yml': `name: setup
description: test
runs:
  using: composite
  steps:
    - id: packages
      uses: actions/cache@${PIN}
      with: { path: packages, key: "p-\${{ runner.os }}-\${{ hashFiles('lock') }}" }
    - { run: 'echo "hit [\${{ steps.packages.outputs.cache-hit }}]"', shell: bash }
`,
      },
    );
    await repo.run();
    expect(repo.output).toContain('hit []');
    const second = await repo.run();
    expect(repo.output).toContain('hit [true]');
    expect(repo.stepLog(second, 'a', 'post-run-actions-cache')).toContain('nothing to save');
    const seed = { cacheDir: join(repo.folder, '../seeded'), clone: repo.folder, action: 'setup' };
    expect(await seedCache(seed)).toEqual([]);
    const { mkdirSync, writeFileSync } = await import('node:fs');
    mkdirSync(join(repo.folder, 'packages'));
    writeFileSync(join(repo.folder, 'packages/one'), 'seeded\n');
    expect(await seedCache(seed)).toHaveLength(1);
    await repo.run({ cacheDir: seed.cacheDir });
    expect(repo.output).toContain('seeded');
  });

  it("puts the lab's Node 24 on the PATH and takes no other version", async () => {
    const repo = repoWith(
      oneJob(`      - { uses: "actions/setup-node@${PIN}", with: { node-version: 24 } }
      - run: node --version
      - { uses: "actions/setup-node@${PIN}", with: { node-version: 22 } }
`),
    );
    const result = await repo.run();
    expect(repo.output.some((line) => line.startsWith('v24.'))).toBe(true);
    expect(result.annotations[0]?.message).toMatch(/test\.yml:9:9: node-version '22': the lab has Node 24 only/);
  });
});
