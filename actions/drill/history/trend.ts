import type { ScenarioReport } from '../report/data.ts';
import { percentiles } from '../report/data.ts';
import type { Night } from './night.ts';

/** How many nights tonight is compared with. */
const compared = 30;
/** With fewer nothing is said: one in this many would be outside by chance. */
const least = 10;

/** What one scenario was on the nights before, by each night's median recovery (ms). */
export interface Trend {
  readonly nights: number;
  readonly medianMs: number;
  readonly minMs: number;
  readonly maxMs: number;
  /** Where tonight's median is; `unknown` with too few nights. */
  readonly tonight: 'slower' | 'faster' | 'within' | 'unknown';
  /** Of `slower` and `faster`: how unlikely it is by chance alone, if the nights are alike (0 to 1). */
  readonly confidence: number;
}

/**
 * Against the measured spread and no fixed percentage: if nothing has changed, tonight is as likely to be the slowest of n + 1 nights
 * as any other, so being slower than all n before has a chance of 1 in n + 1. Undefined without any night before. Pure.
 */
export function trendOf({ name, recoveryMs }: ScenarioReport, nights: readonly Night[]): Trend | undefined {
  const before = medians(name, nights).slice(-compared);
  const { p50: medianMs } = percentiles(before);
  if (medianMs === null) return undefined;
  const [minMs, maxMs] = [Math.min(...before), Math.max(...before)];
  const base = { nights: before.length, medianMs, minMs, maxMs };
  const now = recoveryMs.p50;
  if (now === null || before.length < least) return { ...base, tonight: 'unknown', confidence: 0 };
  const confidence = before.length / (before.length + 1);
  if (now > maxMs) return { ...base, tonight: 'slower', confidence };
  if (now < minMs) return { ...base, tonight: 'faster', confidence };
  return { ...base, tonight: 'within', confidence: 0 };
}

/** Each night's median of that scenario, in the order of time. */
export function medians(name: string, nights: readonly Night[]): number[] {
  return nights.flatMap((night) => {
    const p50 = night.scenarios.find((each) => each.name === name)?.p50 ?? null;
    return p50 === null ? [] : [p50];
  });
}

/** A Mermaid chart of one scenario's last nights and tonight: p50 as bars, p95 as a line. Undefined with fewer than three. Pure. */
export function chart(name: string, nights: readonly Night[]): string | undefined {
  const points = nights
    .flatMap((night) => {
      const found = night.scenarios.find((each) => each.name === name);
      return found === undefined || found.p50 === null || found.p95 === null
        ? []
        : [{ day: night.at.slice(0, 10), p50: found.p50, p95: found.p95 }];
    })
    .slice(-compared - 1);
  if (points.length < 3) return undefined;
  const most = Math.max(...points.map((point) => point.p95), 100);
  // Counted: thirty dates would be written over each other, and two drills of one day would be drawn so.
  const counted = points.map((_, index) => `"${index + 1}"`).join(', ');
  return [
    '```mermaid',
    '---',
    'config:',
    '  xyChart: { width: 900, height: 280 }',
    '  themeVariables:',
    '    xyChart: { plotColorPalette: "#b6c8e0, #0550ae" }',
    '---',
    'xychart-beta',
    `    title "${name}: recovery in ms, p50 (bars) and p95 (line)"`,
    `    x-axis "drills from ${points[0]?.day} to ${points.at(-1)?.day}, the last is this one" [${counted}]`,
    `    y-axis "ms" 0 --> ${Math.ceil((most * 1.1) / 100) * 100}`,
    `    bar [${points.map((point) => point.p50).join(', ')}]`,
    `    line [${points.map((point) => point.p95).join(', ')}]`,
    '```',
  ].join('\n');
}
