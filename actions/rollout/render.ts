import { Liquid, LiquidError, type Template } from 'liquidjs';
import { FiredrillError, messageOf } from '../core/errors.ts';

export interface Rendered {
  readonly text: string;
  /** For each line of `text`, the line of the template that it came from (both count from 1; index 0 is line 1). */
  readonly templateLines: readonly number[];
}

const engine = new Liquid({ strictVariables: true, strictFilters: true, ownPropertyOnly: true });
// A bound on a value, for settings that must not exceed each other.
engine.registerFilter('at_most', (value: number, limit: number) => Math.min(value, limit));

/**
 * Renders a LiquidJS template strictly. A line that holds nothing but a tag leaves no line behind. An unknown variable or filter, or a
 * mistake in the syntax, throws a FiredrillError (`config`) with file:line:column.
 */
export function renderTemplate(file: string, template: string, variables: object): Rendered {
  const prepared = preparedBefore.get(template) ?? prepare(template);
  preparedBefore.set(template, prepared);
  try {
    prepared.parsed ??= engine.parse(prepared.text);
    return unmark(String(engine.renderSync(prepared.parsed, variables)));
  } catch (error) {
    const { line, column } = prepared.placeOf(error instanceof LiquidError ? error.token.begin : 0);
    const reason = error instanceof LiquidError ? (error.originalError?.message ?? error.message) : messageOf(error);
    throw new FiredrillError({
      code: 'config',
      where: `${file}:${line}:${column}`,
      what: reason.replace(/, (file:[^,]*, )?line:\d+, col:\d+$/, '').split('\n')[0] ?? reason,
      fix: 'Correct the template, or the name; nothing was touched',
      cause: error,
    });
  }
}

/** A template is rendered for every node of its role. */
const preparedBefore = new Map<string, Prepared>();

interface Prepared {
  readonly text: string;
  parsed?: Template[];
  /** The place in the original template of an offset into `text`. */
  placeOf(offset: number): { line: number; column: number };
}

// Two control characters that no configuration file holds enclose the number of the template's line.
const open = '\u0001';
const close = '\u0002';

/** Marks the start of every line with its number, and takes the line break off lines that hold only a tag. */
function prepare(template: string): Prepared {
  const starts: { offset: number; line: number; skipped: number }[] = [];
  let text = '';
  let insideTag = false;
  const lines = template.split('\n');
  lines.forEach((line, index) => {
    const last = index === lines.length - 1;
    const tagOnly = !insideTag && /^\s*\{%((?!%\}).)*%\}\s*$/.test(line);
    const kept = tagOnly ? line.trim() : last ? line : `${line}\n`;
    const mark = tagOnly || insideTag || (last && line === '') ? '' : `${open}${index + 1}${close}`;
    starts.push({
      offset: text.length,
      line: index + 1,
      skipped: (tagOnly ? line.length - line.trimStart().length : 0) - mark.length,
    });
    text += mark + kept;
    insideTag = endsInsideTag(line, insideTag);
  });
  return {
    text,
    placeOf(offset) {
      const start = starts.findLast((each) => each.offset <= offset);
      if (start === undefined) return { line: 1, column: 1 };
      return { line: start.line, column: Math.max(1, offset - start.offset + start.skipped + 1) };
    },
  };
}

function endsInsideTag(line: string, inside: boolean): boolean {
  const opened = Math.max(line.lastIndexOf('{%'), line.lastIndexOf('{{'));
  const closed = Math.max(line.lastIndexOf('%}'), line.lastIndexOf('}}'));
  return opened === closed ? inside : opened > closed;
}

function unmark(marked: string): Rendered {
  const templateLines: number[] = [];
  let current = 1;
  const lines = marked.split('\n').map((line) => {
    const marks = [...line.matchAll(/\u0001(\d+)\u0002/g)];
    // Marks in the middle come from a loop that wrote several of the template's lines into this one: it starts at the first.
    current = Number(marks[0]?.[1] ?? current);
    templateLines.push(current);
    current = Number(marks.at(-1)?.[1] ?? current);
    return line.replace(/\u0001\d+\u0002/g, '');
  });
  return { text: lines.join('\n'), templateLines };
}
