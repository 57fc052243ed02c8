import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { marked } from 'marked';

const require = createRequire(import.meta.url);

/** Of the comment on GitHub's page (CSS pixels). */
export const width = 960;

/**
 * A page that shows a comment as GitHub does: its Markdown style, tables, folded parts, and Mermaid drawn. It needs no network. When
 * it is drawn, the body's `data-height` is its height, and `data-failed` says what Mermaid could not draw.
 */
export async function pageOf(markdown: string, title: string): Promise<string> {
  const body = await marked.parse(markdown.replaceAll(/<!--.*?-->/gs, ''), { gfm: true });
  const drawn = body.replaceAll(
    /<pre><code class="language-mermaid">(.*?)<\/code><\/pre>/gs,
    '<pre class="mermaid">$1</pre>',
  );
  const style = readFileSync(require.resolve('github-markdown-css/github-markdown-light.css'), 'utf8');
  const mermaid = readFileSync(require.resolve('mermaid/dist/mermaid.min.js'), 'utf8').replaceAll(
    '</script',
    '<\\/script',
  );
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>${title}</title>
<style>${style}
body { margin: 0; padding: 16px; background: #fff; width: ${width}px; }
.box { border: 1px solid #d1d9e0; border-radius: 6px; }
.head { background: #f6f8fa; border-bottom: 1px solid #d1d9e0; border-radius: 6px 6px 0 0; padding: 8px 16px; color: #59636e;
  font: 14px/21px "Liberation Sans", sans-serif; }
.head b { color: #1f2328; }
.markdown-body { padding: 16px; font-size: 14px; font-family: "Liberation Sans", sans-serif; }
.markdown-body code { font-family: "Liberation Mono", monospace; }
.markdown-body pre.mermaid { background: #fff; border: 1px solid #d1d9e0; text-align: center; }
</style>
<body><div class="box"><div class="head"><b>github-actions</b> bot commented</div>
<article class="markdown-body">${drawn}</article></div>
<script>${mermaid}</script>
<script>
mermaid.initialize({ startOnLoad: false, theme: 'default' });
mermaid.run().catch((error) => { document.body.dataset.failed = String(error.message ?? error.str ?? error); })
  .finally(() => { document.body.dataset.height = String(document.documentElement.scrollHeight); });
</script></body></html>
`;
}
