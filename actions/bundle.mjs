// `npm run bundle`: every action into its dist/index.js, which is what its action.yml runs. Built in each job, never committed.
import { cpSync, existsSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const folder = fileURLToPath(new URL('.', import.meta.url));
const actions = readdirSync(folder).filter((name) => existsSync(`${folder}${name}/index.ts`));

await build({
  entryPoints: actions.map((name) => ({ in: `${folder}${name}/index.ts`, out: `${name}/dist/index` })),
  outdir: folder,
  bundle: true,
  platform: 'node',
  target: 'node24',
  format: 'esm',
  // Native add-ons are optional speed-ups of ssh2; it goes on without them.
  external: ['*.node', 'cpu-features'],
  banner: {
    js: [
      "import { createRequire as firedrillCreateRequire } from 'node:module';",
      // CommonJS dependencies use these, which an ES module does not have.
      'const require = firedrillCreateRequire(import.meta.url);',
      'const __filename = import.meta.filename, __dirname = import.meta.dirname;',
      // Stack traces that name our source, not the bundle.
      'process.setSourceMapsEnabled(true);',
    ].join(' '),
  },
  // Half of it is white space and comments, which would be read at each start. Names stay, for stack traces.
  minifyWhitespace: true,
  minifySyntax: true,
  sourcemap: true,
  sourcesContent: false,
  legalComments: 'none',
  logLevel: 'warning',
});

// What an action sends to the nodes stays files: beside the bundle, as it is beside the source.
for (const name of actions) {
  if (existsSync(`${folder}${name}/node`))
    cpSync(`${folder}${name}/node`, `${folder}${name}/dist/node`, { recursive: true });
}
