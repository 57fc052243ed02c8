import { describe, expect, it } from 'vitest';
import { renderTemplate } from '../../actions/rollout/render.ts';

const render = (template: string, variables: object = {}) => renderTemplate('configs/x/file', template, variables);

describe('a template', () => {
  it('leaves no line behind where a line holds only a tag, and knows each line of its text', () => {
    const { text, templateLines } = render(
      'a\n{% for x in xs %}\n  s {{ x }}\n{% endfor %}\n  {% if xs %}\nend\n{% endif %}\n',
      {
        xs: [1, 2],
      },
    );
    expect(text).toBe('a\n  s 1\n  s 2\nend\n');
    expect(templateLines.slice(0, 4)).toEqual([1, 3, 3, 6]);
  });

  it('keeps blanks around tags inside a line', () => {
    expect(
      render('l = {% for x in xs %}{{ x }}{% unless forloop.last %}, {% endunless %}{% endfor %}\n', { xs: [1, 2] })
        .text,
    ).toBe('l = 1, 2\n');
  });

  it.each([
    ['an unknown variable', 'a\n  b {{ y.q }}', '2:8', 'undefined variable: y.q'],
    ['an unknown variable in a condition', 'a\n  {% if nope %}\n  {% endif %}', '2:9', 'undefined variable: nope'],
    ['an unknown filter', 'x\n{{ y.z | fooo }}', '2:1', 'undefined filter: fooo'],
    ['an unknown tag', 'x\n\n  {% fro x in xs %}\n', '3:3', 'tag "fro" not found'],
    ['a tag that is not closed', 'a\n{% if y %}\nx', '2:1', 'not closed'],
    ['an output that is not closed', 'a {{ y.z', '1:3', 'not closed'],
  ])('with %s is refused by file:line:column', (_, template, place, what) => {
    expect(() => render(template, { y: { z: 1 } })).toThrow(`configs/x/file:${place}: `);
    expect(() => render(template, { y: { z: 1 } })).toThrow(what);
  });
});
