import { describe, expect, it } from 'vitest';
import { oneJob, PIN, repoWith } from './runner-repo.ts';

const FILE = '.github/workflows/test.yml';

async function refusal(workflow: string, options = {}): Promise<string> {
  const repo = repoWith(workflow);
  const error = await repo.run(options).then(
    () => new Error('it ran'),
    (reason: Error) => reason,
  );
  expect(repo.output, 'nothing has run').toEqual([]);
  return error.message;
}

describe('before anything runs, the runner refuses by file, line and column', () => {
  it.each([
    ['an unknown key', oneJob('      - rum: echo\n'), `${FILE}:7:9`, 'rum'],
    ['an unknown context', oneJob('      - run: echo ${{ secret.A }}\n'), `${FILE}:7:`, 'secret'],
    [
      'a job that needs an unknown one',
      `${oneJob('      - run: a\n')}  c: { needs: b, runs-on: ubuntu-24.04, steps: [{ run: a }] }\n`,
      `${FILE}:8:15`,
      "unknown job 'b'",
    ],
    ['a foreign action without stand-in', oneJob(`      - uses: a/b@${PIN}\n`), `${FILE}:7:15`, 'a/b'],
    [
      'an input that a stand-in lacks',
      oneJob(`      - { uses: "actions/checkout@${PIN}", with: { lfs: true } }\n`),
      `${FILE}:7:`,
      "'lfs'",
    ],
    ['a docker action', oneJob('      - uses: docker://alpine\n'), `${FILE}:7:15`, 'docker://alpine'],
    ['a matrix', oneJob('      - run: a\n', '    strategy: { matrix: { x: [1] } }\n'), `${FILE}:6:5`, "'strategy'"],
    ['services', oneJob('      - run: a\n', '    services: { r: { image: redis } }\n'), `${FILE}:6:5`, "'services'"],
    [
      'another runner',
      oneJob('      - run: a\n').replace('ubuntu-24.04', 'windows-latest'),
      `${FILE}:5:14`,
      'windows-latest',
    ],
    [
      'an image that the lab has not',
      oneJob('      - run: a\n', '    container: alpine:3\n'),
      `${FILE}:6:16`,
      'alpine:3',
    ],
    [
      'an if that is always true',
      oneJob('      - { run: a, if: "${{ github.ref }} == \'x\'" }\n'),
      `${FILE}:7:`,
      'always true',
    ],
  ])('%s', async (_, workflow, place, what) => {
    const message = await refusal(workflow);
    expect(message).toContain(place);
    expect(message).toContain(what);
  });

  it('an event that the workflow does not listen to', async () => {
    expect(await refusal(oneJob('      - run: a\n'), { event: { name: 'schedule' } })).toContain(
      "does not listen to 'schedule'",
    );
    const filtered = oneJob('      - run: a\n').replace('on: push', 'on: { push: { branches: [main, "release/**"] } }');
    expect(await refusal(filtered, { ref: 'refs/heads/topic' })).toContain('refs/heads/topic');
    expect(await refusal(filtered, { ref: 'refs/tags/v1' })).toContain('refs/tags/v1');
  });
});

describe('while it runs, what it cannot do fails the step', () => {
  it('names a local action that is not there', async () => {
    const repo = repoWith(oneJob('      - uses: ./missing\n'));
    const result = await repo.run();
    expect(result.conclusion).toBe('failure');
    expect(result.annotations[0]?.message).toContain(`${FILE}:7:15: no action.yml or action.yaml under 'missing'`);
  });

  it('refuses disabled commands, malformed files and broken expressions', async () => {
    const repo = repoWith(
      oneJob(`      - { run: "echo ::set-output name=a::b", continue-on-error: true }
      - { run: "echo rubbish >> $GITHUB_OUTPUT", continue-on-error: true }
      - { run: "echo NODE_OPTIONS=x >> $GITHUB_ENV", continue-on-error: true }
      - { run: "echo \${{ fromJSON('{') }}", continue-on-error: true }
      - { run: a, shell: fish }
`),
    );
    const result = await repo.run();
    expect(result.jobs[0]?.steps.map((step) => step.outcome)).toEqual(Array(5).fill('failure'));
    const messages = result.annotations.map((each) => each.message).join('\n');
    for (const text of ["'set-output'", 'rubbish', 'NODE_OPTIONS', `${FILE}:10:`, "shell 'fish'"])
      expect(messages).toContain(text);
  });
});
