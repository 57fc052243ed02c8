/**
 * Milliseconds of the machine's monotonic clock. The same in every thread and process of the machine, unlike performance.now(), so
 * the probe's figures, Sentinel's events and the injection can be compared.
 */
export function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

const anchor = { mono: nowMs(), wall: Date.now() };

/** A monotonic time as ISO 8601, by one anchor for the whole run: a clock that is set meanwhile moves no figure. */
export function isoTime(monoMs: number): string {
  return new Date(anchor.wall + (monoMs - anchor.mono)).toISOString();
}
