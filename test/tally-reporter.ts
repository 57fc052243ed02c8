import type { Reporter, TestModule } from 'vitest/node';

/** The last line of a run: `N passed, N failed, N skipped`, and before it each reason why something was skipped. */
export default class TallyReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const count = (state: string) => tests.filter((test) => test.result().state === state).length;
    const broken = modules.filter((module) => module.state() === 'failed' && module.errors().length > 0).length;
    const reasons = new Set(
      tests.flatMap((test) => (test.result().state === 'skipped' ? [skipReason(test.result())] : [])),
    );
    for (const reason of reasons) console.log(`skipped: ${reason}`);
    const failed = count('failed') + broken + errors.length;
    console.log(`${count('passed')} passed, ${failed} failed, ${count('skipped')} skipped`);
  }
}

function skipReason(result: { readonly state: string; readonly note?: string | undefined }): string {
  return result.note ?? 'without a reason: write one with context.skip(reason)';
}
