import type { Night } from './night.ts';

const width = 40;

/** Each scenario's nights as lines of text: the bar is p50, the mark is p95, both on one scale per scenario. Pure. */
export function drawHistory(nights: readonly Night[]): string {
  if (nights.length === 0) return 'The history has no drill yet.';
  const names = [...new Set(nights.flatMap((night) => night.scenarios.map((scenario) => scenario.name)))].sort();
  return names.map((name) => drawScenario(name, nights)).join('\n\n');
}

function drawScenario(name: string, nights: readonly Night[]): string {
  const rows = nights.flatMap((night) => {
    const found = night.scenarios.find((scenario) => scenario.name === name);
    return found === undefined ? [] : [{ at: night.at.slice(0, 16).replace('T', ' '), ...found }];
  });
  const most = Math.max(1, ...rows.map((row) => row.p95 ?? 0));
  const scale = (value: number): number => Math.round((value / most) * width);
  const lines = rows.map(({ at, ok, p50, p95, lost }) => {
    if (p50 === null || p95 === null) return `  ${at}  RED  not measured`;
    const bar = '#'
      .repeat(scale(p50))
      .padEnd(scale(p95))
      .concat('|')
      .padEnd(width + 1);
    const figures = `p50 ${String(p50).padStart(6)} ms  p95 ${String(p95).padStart(6)} ms`;
    return `  ${at}  ${ok ? 'ok ' : 'RED'}  ${bar}  ${figures}${lost > 0 ? `  ${lost} writes lost` : ''}`;
  });
  return [name, ...lines].join('\n');
}
