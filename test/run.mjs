// `npm test`: every layer, from a fresh clone on a fresh machine too. `npm test -- ARGS` goes to vitest.
import { spawnSync } from 'node:child_process';
import { ensureTools } from './host/ensure.mjs';
import { clone, ensurePackages, node } from './packages.mjs';

await ensureTools();
ensurePackages();
const vitest = `${clone}node_modules/vitest/vitest.mjs`;
const asked = process.argv.slice(2);
const layers = ['unit', 'contract', 'c', 'fleet'].flatMap((name) => ['--project', name]);
const args = [vitest, 'run', '--config', `${clone}test/vitest.config.ts`];
args.push(...(asked.includes('--project') ? asked : [...layers, ...asked]));
const env = { ...process.env, PATH: `${clone}node_modules/.bin:${process.env.PATH}` };
const result = spawnSync(node, args, { cwd: clone, stdio: 'inherit', env });
process.exitCode = result.status ?? 1;
