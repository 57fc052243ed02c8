import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { ContainerSpec } from '../lab/runner/index.ts';
import { killStrays, runProcess } from '../lab/runner/process.ts';
import { oneJob, repoWith } from './runner-repo.ts';

const GRACE = { interruptMs: 150, terminateMs: 150, cleanupMs: 2000 };

/** A GitHub API that notes what it is sent and answers as deployments do. */
async function deploymentsApi(): Promise<{ url: string; seen: string[] }> {
  const seen: string[] = [];
  const server = createServer(async (request, response) => {
    const chunks = await request.toArray();
    const body = JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>;
    seen.push(
      `${request.method} ${request.url} ${body.environment} ${body.state ?? body.ref} ${body.environment_url ?? ''}`.trim(),
    );
    response.writeHead(201, { 'content-type': 'application/json' }).end(JSON.stringify({ id: 7 }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

describe('a job', () => {
  it('with an environment leaves a deployment record, and with deployment: false none', async () => {
    const { url, seen } = await deploymentsApi();
    const repo = repoWith(
      oneJob(
        '      - { id: s, run: echo url=http://x >> $GITHUB_OUTPUT }\n',
        '    environment: { name: "${{ github.ref_name }}", url: "${{ steps.s.outputs.url }}" }\n',
      ),
    );
    const result = await repo.run({ githubApiUrl: url });
    expect(result.jobs[0]?.environment).toBe('main');
    expect(seen).toEqual([
      `POST /repos/owner/repo/deployments main ${repo.sha}`,
      'POST /repos/owner/repo/deployments/7/statuses main in_progress',
      'POST /repos/owner/repo/deployments/7/statuses main success http://x',
    ]);
    const failing = repoWith(oneJob('      - run: exit 1\n', '    environment: e\n'));
    await failing.run({ githubApiUrl: url });
    expect(seen.at(-1)).toBe('POST /repos/owner/repo/deployments/7/statuses e failure');
    seen.length = 0;
    const quiet = repoWith(
      oneJob('      - run: exit 0\n', '    environment: { name: e, deployment: "${{ !github.ref }}" }\n'),
    );
    expect((await quiet.run({ githubApiUrl: url })).jobs[0]?.environment).toBe('e');
    expect(seen).toEqual([]);
  });

  it('in a container runs its processes there, with sh by default and its folders at the same paths', async () => {
    const specs: ContainerSpec[] = [];
    const repo = repoWith(
      oneJob(
        '      - run: echo "in $HOME $FROM"\n',
        '    container: { image: "debian:trixie@sha256:0a", env: { FROM: c } }\n',
      ),
    );
    const result = await repo.run({
      containers: {
        images: { 'debian:trixie': '/roots/debian' },
        run: async (spec) => {
          specs.push(spec);
          return await runProcess({ ...spec, grace: GRACE });
        },
      },
    });
    expect(result.conclusion).toBe('success');
    const [spec] = specs;
    expect(spec?.root).toBe('/roots/debian');
    expect(spec?.argv.slice(0, 2)).toEqual(['sh', '-e']);
    expect(spec?.binds.find((bind) => spec.cwd.startsWith(bind.path))?.readOnly).toBe(false);
    expect(spec?.env.FROM).toBe('c');
  });

  it('that is cancelled stops its step by SIGINT, SIGTERM and SIGKILL, then tidies up', async () => {
    const { url, seen } = await deploymentsApi();
    const repo = repoWith(
      oneJob(
        `      - id: stuck
        run: |
          trap 'echo got INT' INT; trap 'echo got TERM' TERM
          echo started
          while true; do sleep 0.05; done
      - run: echo never
      - { if: failure(), run: echo not a failure }
      - { if: cancelled(), run: echo tidied }
      - { if: always(), run: "echo status \${{ job.status }} \${{ steps.stuck.outcome }}" }
`,
        '    environment: e\n',
      ),
    );
    const controller = new AbortController();
    const log = {
      step: () => {},
      output: (line: string) => {
        repo.output.push(line);
        if (line === 'started') setTimeout(() => controller.abort(), 50);
      },
    };
    const result = await repo.run({ signal: controller.signal, grace: GRACE, githubApiUrl: url, log });
    expect(result.conclusion).toBe('cancelled');
    for (const line of ['got INT', 'got TERM', 'tidied', 'status cancelled cancelled'])
      expect(repo.output).toContain(line);
    for (const line of ['never', 'not a failure']) expect(repo.output).not.toContain(line);
    expect(seen.at(-1)).toContain('inactive');
  });

  it('fails a step that overruns its timeout-minutes, is cancelled when its own are over, and ends what was left running', async () => {
    const repo = repoWith(
      oneJob(
        `      - { run: sleep 20, timeout-minutes: 0.003, continue-on-error: true }
      - run: (setsid sleep 47.11 > /dev/null 2>&1 &)
      - { run: sleep 20, id: last }
`,
        '    timeout-minutes: 0.012\n',
      ),
    );
    const result = await repo.run({ grace: GRACE });
    expect(result.jobs[0]?.steps.map((step) => step.outcome)).toEqual(['failure', 'success', 'cancelled']);
    expect(result.conclusion).toBe('cancelled');
    expect(repo.output).toContain('##[error]The step took longer than its timeout-minutes.');
    expect(repo.output).toContain('ended 1 processes that the steps had left running');
  });
});

describe('a runner that was itself killed', () => {
  it('leaves steps that are found by their workspace and ended', async () => {
    const env = { PATH: process.env.PATH ?? '', GITHUB_WORKSPACE: '/nowhere/work/job/repo' };
    const signal = new AbortController().signal;
    const step = runProcess({ argv: ['sleep', '30'], cwd: '/', env, onLine: () => {}, signal, grace: GRACE });
    expect(killStrays('/nowhere/other')).toBe(0);
    await expect.poll(() => killStrays('/nowhere/work')).toBe(1);
    expect(await step).toEqual({ code: -1 });
  });
});
