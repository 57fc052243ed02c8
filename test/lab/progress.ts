import { parseProgress, progressLine } from '../../actions/core/log.ts';

/** Details are package lists and the like: the whole line is in the step's log. */
const width = 120;
/** Scenarios have longer names than nodes. */
const nameWidth = 20;

/**
 * What the terminal shows of the steps' output without --verbose: their progress lines as they come, below the name of their step,
 * which has a line of its own only when it has ended.
 */
export function progressOnly(write: (line: string) => void): (line: string, step: string) => void {
  let open = '';
  return (line, step) => {
    const told = parseProgress(line);
    if (told === undefined) return;
    if (step !== open) write(`  ${'running'.padEnd(20)}${step}`);
    open = step;
    const shown = `    ${progressLine(told.node.padEnd(nameWidth), told.phase, told.ms, told.detail)}`;
    write(shown.length > width ? `${shown.slice(0, width - 1)}…` : shown);
  };
}
