import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { findDiagnostics } from '../../actions/build/diagnostics.ts';
import { contentKey } from '../../actions/build/key.ts';
import { type Command, runCommand } from '../../actions/build/make.ts';
import { type BuildDeps, run } from '../../actions/build/run.ts';
import type { Place } from '../../actions/core/log.ts';
import { plainLog } from '../../actions/core/log.ts';
import { notInstalled } from '../host/tools.mjs';

const MAKEFILE = `BUILD ?= build
$(BUILD)/sessiond: main.c
\tmkdir -p $(BUILD) && cc $(DEFINES) -o $@ main.c
test: $(BUILD)/sessiond
\t$(BUILD)/sessiond
.PHONY: test
`;

/** A C project with the interface that the build expects of c-app, and the build's dependencies. */
function project(main = 'int main(void) { return 0; }\n', makefile = MAKEFILE) {
  const folder = mkdtempSync(join(tmpdir(), 'build-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const source = join(folder, 'app');
  mkdirSync(source);
  const write = (name: string, content: string): void => writeFileSync(join(source, name), content);
  write('Makefile', makefile);
  write('main.c', main);
  const commands: string[] = [];
  const errors: [string, Place | undefined][] = [];
  const command: Command = async (argv, options) => {
    commands.push(argv.join(' '));
    return await runCommand(argv, options);
  };
  const log = { ...plainLog(() => {}), error: (line: string, place?: Place) => void errors.push([line, place]) };
  const deps: BuildDeps = { command, log, tempDir: folder, jobs: 2, env: process.env };
  const inputs = { source, output: join(folder, 'out') };
  const makes = (): number => commands.filter((each) => each.startsWith('make')).length;
  return { source, write, inputs, deps, errors, makes };
}

const missing = notInstalled(['cc', 'make', '/usr/include/stdio.h']);

describe('the build', () => {
  beforeEach(({ skip }) => {
    if (missing !== undefined) skip(missing);
  });

  it('tests, builds twice, and leaves the binary with its SHA-256', async () => {
    const { inputs, deps, makes } = project();
    const result = await run(inputs, deps);
    expect(result.cached).toBe(false);
    expect(makes()).toBe(3);
    expect(statSync(result.binary).mode & 0o111).not.toBe(0);
    expect(readFileSync(`${result.binary}.sha256`, 'utf8')).toBe(`${result.sha256}  sessiond\n`);
    execFileSync('sha256sum', ['--check', 'sessiond.sha256'], { cwd: inputs.output });
  });

  it('uses an earlier build of the same sources, and no other', async () => {
    const { inputs, deps, makes, write } = project();
    const first = await run(inputs, deps);
    expect(await run(inputs, deps)).toEqual({ ...first, cached: true });
    expect(makes()).toBe(3);
    writeFileSync(first.binary, 'harmed');
    expect((await run(inputs, deps)).cached).toBe(false);
    write('main.c', 'int main(void) { return 0 * 1; }\n');
    expect((await run(inputs, deps)).cached).toBe(false);
    expect(makes()).toBe(9);
  });

  it('refuses a binary that differs between two folders', async () => {
    const { inputs, deps } = project(
      'const char *where = __FILE__;\nint main(void) { return where[0] == 0; }\n',
      MAKEFILE.replace('$@ main.c', '$@ $(CURDIR)/main.c'),
    );
    await expect(run(inputs, deps)).rejects.toThrow(/two builds of the same sources in two folders differ/);
  });

  it("annotates the compiler's errors at their places and names the first", async () => {
    const { inputs, deps, errors, source } = project('int main(void) {\n  return nothing;\n}\n');
    await expect(run(inputs, deps)).rejects.toThrow(/app\/main\.c:2: the C service's tests fail: .*nothing/);
    expect(errors).toEqual([
      [expect.stringContaining('nothing'), { file: join(source, 'main.c'), line: 2, column: 10 }],
    ]);
  });

  it('fails when the tests fail, and leaves nothing', async () => {
    const { inputs, deps } = project('int main(void) { return 3; }\n');
    await expect(run(inputs, deps)).rejects.toThrow(/the C service's tests fail: make: .*Error 3/);
    expect(() => statSync(inputs.output)).toThrow();
  });
});

describe('the key of a build', () => {
  const deps = {
    env: {},
    command: async (argv: readonly string[], options: Parameters<Command>[1]) => {
      options.onLine(argv[0] === 'cc' ? 'cc 14' : 'libuv1-dev 1.50');
      return { code: 0 };
    },
  };

  it('follows sources, compiler, flags and libraries, but not what make leaves', async () => {
    const { source, write } = project();
    write('build-deps.txt', 'libuv1-dev\n');
    const key = await contentKey(source, deps);
    mkdirSync(join(source, 'build'));
    writeFileSync(join(source, 'build/main.o'), 'object');
    expect(await contentKey(source, deps)).toBe(key);
    const others = [
      await contentKey(source, { ...deps, env: { CFLAGS: '-O3' } }),
      await contentKey(source, {
        ...deps,
        command: async (_, options) => {
          options.onLine('cc 15');
          return { code: 0 };
        },
      }),
    ];
    write('build-deps.txt', 'libuv1-dev \n');
    others.push(await contentKey(source, deps));
    expect(new Set([key, ...others]).size).toBe(4);
  });
});

describe('diagnostics', () => {
  it('are found in what compiler, linker and tests print, once each, at their places in the source', () => {
    const lines = [
      "store.c: In function 'f':",
      "store.c:12:5: error: 'x' undeclared (first use in this function)",
      "store.c:12:5: error: 'x' undeclared (first use in this function)",
      'store.c:14:5: warning: unused variable',
      '/tmp/copy/net/addr.h:3:10: fatal error: uv.h: No such file or directory',
      "/usr/bin/ld: store.c:20: undefined reference to `hold_init'",
      '[  ERROR   ] --- 0x1 != 0x2',
      'test/test_buf.c:45: error: Failure!',
      'make: *** [Makefile:12: all] Error 1',
    ];
    expect(findDiagnostics(lines, '/tmp/copy', 'c-app')).toEqual([
      { file: 'c-app/store.c', line: 12, column: 5, message: "'x' undeclared (first use in this function)" },
      { file: 'c-app/net/addr.h', line: 3, column: 10, message: 'uv.h: No such file or directory' },
      { file: 'c-app/store.c', line: 20, message: "undefined reference to `hold_init'" },
      { file: 'c-app/test/test_buf.c', line: 45, message: 'Failure!' },
    ]);
  });
});
