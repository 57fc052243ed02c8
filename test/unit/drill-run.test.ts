import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { deriveDeployKey, derivePassword } from '../../actions/core/derive.ts';
import { FiredrillError } from '../../actions/core/errors.ts';
import type { Github } from '../../actions/core/github.ts';
import { plainLog } from '../../actions/core/log.ts';
import { Secret } from '../../actions/core/secret.ts';
import { type DrillDeps, run } from '../../actions/drill/run.ts';

const fleetSecret = new Secret('a fleet secret of at least thirty-two characters');
const sha = 'b'.repeat(40);

let out: string;
let lines: string[];
let masked: string[];
let posted: string[];
let summary: string;
let labels: Set<string>;
beforeEach(() => {
  out = mkdtempSync(join(tmpdir(), 'firedrill-run-'));
  [lines, masked, posted, summary] = [[], [], [], ''];
  labels = new Set();
});
afterEach(() => rmSync(out, { recursive: true }));

/** A drill whose fleet can't be reached. */
function drill(github: Partial<Github>) {
  const known: Github = {
    deployedCommit: async () => sha,
    pullOfCommit: async () => ({ number: 7, title: 'x', url: 'x' }),
    commentOnPull: async (_number, _marker, body) => {
      posted.push(body);
      return { url: 'https://github.com/acme/shop/pull/7#1', created: true };
    },
    commentOnCommit: async () => expect.unreachable(),
    addLabel: async (_number, label) => void labels.add(label),
    removeLabel: async (_number, label) => void labels.delete(label),
    readFile: async () => undefined,
    writeFile: async () => true,
    makeBranch: async () => {},
    compare: async () => expect.unreachable(),
    ...github,
  };
  const deps: DrillDeps = {
    log: plainLog((line) => lines.push(line)),
    env: { GITHUB_SHA: 'c'.repeat(40) },
    signal: new AbortController().signal,
    openFleet: async () => {
      throw new FiredrillError({ code: 'config', what: 'the machine redis-1 is missing' });
    },
    openGithub: () => known,
    writeSummary: async (markdown) => {
      summary += markdown;
    },
    mask: (value) => masked.push(value),
  };
  const token = new Secret('token-token');
  const inputs = {
    environment: 'lab',
    fleetSecret,
    linodeToken: token,
    githubToken: token,
    alertSecret: new Secret('https://hooks.example/T0/B0'),
    scenarios: 'core',
    repeat: undefined,
    out,
    runs: join(out, 'drill.jsonl'),
  } as const;
  return run(inputs, deps);
}

describe('a drill that could not start', () => {
  test("is red everywhere, so that no earlier drill's success stands", async () => {
    const { report, reasons, commentUrl } = await drill({});
    expect(reasons).toEqual(['the drill could not start: the machine redis-1 is missing']);
    expect(report).toMatchObject({ ok: false, scenarios: [], commit: sha });
    expect(JSON.parse(readFileSync(`${out}/drill.json`, 'utf8'))).toEqual(report);
    expect(commentUrl).toContain('/pull/7');
    expect([...labels]).toEqual(['drill failed']);
    for (const text of [posted[0], summary, readFileSync(`${out}/pull-request.md`, 'utf8')])
      expect(text).toMatch(/FAILED: it could not start\n\nthe machine redis-1 is missing/);
  });
});

describe('the report', () => {
  test.each([
    ['nothing was deployed', async () => undefined],
    [
      'GitHub does not say what was',
      async () => {
        throw new FiredrillError({ code: 'remote', what: '502' });
      },
    ],
  ])('goes to no commit when %s', async (_, deployedCommit) => {
    const { report, commentUrl } = await drill({ deployedCommit });
    expect(report.commit).toBeNull();
    expect([posted, commentUrl]).toEqual([[], '']);
    expect(summary).toContain('The deployed commit is unknown');
    expect(lines.join('\n')).toMatch(/warning: Nothing was posted: the deployed commit is unknown/);
  });

  test('stays in the summary, with a warning, when the token may not post it', async () => {
    const refusal = (status: number) => async () => {
      throw new FiredrillError({ code: 'remote', what: 'refused', cause: Object.assign(new Error(), { status }) });
    };
    const refused = await drill({ commentOnPull: refusal(403) });
    expect(refused.reasons.join()).not.toContain('posted');
    expect(lines.join('\n')).toMatch(/warning: The report is in the job summary.*refused/);
    expect((await drill({ commentOnPull: refusal(500) })).reasons.join()).toContain('was not posted');
  });
});

test('the secrets and what is derived from them are kept out of the log, the key line by line', async () => {
  await drill({});
  const passwords = ['redis', 'sentinel'].map((purpose) => derivePassword(fleetSecret, 'lab', purpose).reveal());
  const lines = deriveDeployKey(fleetSecret, 'lab').privateKey.reveal().trim().split('\n').slice(1, -1);
  const whole = lines.filter((line) => line.length >= 8);
  const given = [fleetSecret.reveal(), 'token-token', 'https://hooks.example/T0/B0'];
  expect(masked).toEqual(expect.arrayContaining([...passwords, ...whole, ...given]));
  expect(whole.length).toBeGreaterThan(3);
});
