import { runLab } from '../fleet/lab-command.ts';
import { preflight } from '../lab/machines/preflight.ts';
import { lab } from '../lab/paths.ts';
import { regionPid } from '../lab/region-client.ts';

/** One fleet for all files of the matrix. A lab that is up already is used, and stays: what a test finds there it repairs first. */
export async function setup(): Promise<(() => Promise<void>) | undefined> {
  if ((await preflight(lab)).length > 0 || regionPid() !== undefined) return undefined;
  const { code, output } = await runLab(['up'], 900_000);
  if (code !== 0) throw new Error(output);
  return async () => {
    await runLab(['down']);
  };
}
