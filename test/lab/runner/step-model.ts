import { withStatusFunction } from './schema.ts';
import { standInFor } from './stand-ins/index.ts';
import { fields, type Item, type Scalar, scalar, scalars, text, unsupported } from './yaml.ts';

export interface BaseStep {
  readonly at: string;
  /** '' when the step has no id. */
  readonly id: string;
  readonly name: Scalar | undefined;
  /** A whole expression with its status function. */
  readonly condition: string;
  readonly env: Readonly<Record<string, Scalar>>;
  readonly continueOnError: Scalar | undefined;
  readonly timeoutMinutes: Scalar | undefined;
}

export interface RunStep extends BaseStep {
  readonly kind: 'run';
  readonly run: Scalar;
  readonly shell: Scalar | undefined;
  readonly workingDirectory: Scalar | undefined;
}

export interface UsesStep extends BaseStep {
  readonly kind: 'uses';
  readonly uses: string;
  readonly usesAt: string;
  readonly with: Readonly<Record<string, Scalar>>;
}

export type Step = RunStep | UsesStep;

const KNOWN = new Set(
  'id name if env continue-on-error timeout-minutes run shell working-directory uses with'.split(' '),
);

/** One step of a job or of a composite action. Throws for what the runner can't do. */
export function readStep(item: Item): Step {
  const step = fields(item);
  for (const entry of step.values()) if (!KNOWN.has(entry.key)) throw unsupported(`step key '${entry.key}'`, entry.at);
  const optional = (key: string): Scalar | undefined => {
    const entry = step.get(key);
    return entry === undefined ? undefined : scalar(entry.value);
  };
  const base: BaseStep = {
    at: item.at,
    id: String(optional('id')?.value ?? ''),
    name: optional('name'),
    condition: readCondition(step.get('if')?.value),
    env: scalars(step.get('env')?.value),
    continueOnError: optional('continue-on-error'),
    timeoutMinutes: optional('timeout-minutes'),
  };
  const run = optional('run');
  if (run !== undefined) {
    return { ...base, kind: 'run', run, shell: optional('shell'), workingDirectory: optional('working-directory') };
  }
  const uses = step.get('uses');
  if (uses === undefined) throw unsupported('a step with neither run nor uses', item.at);
  const found: UsesStep = {
    ...base,
    kind: 'uses',
    uses: text(uses.value),
    usesAt: uses.value.at,
    with: scalars(step.get('with')?.value),
  };
  checkUses(found);
  return found;
}

/** An `if:` as one expression; `${{ }}` around the whole of it is dropped, a part of it in `${{ }}` is a mistake. */
export function readCondition(item: Item | undefined): string {
  if (item === undefined) return 'success()';
  const written = text(item).trim();
  const inner = /^\$\{\{([\s\S]*)\}\}$/.exec(written)?.[1] ?? written;
  if (inner.includes('${{')) {
    throw unsupported(`if: '${written}' mixes text and \${{ }}, which is always true on GitHub, and so`, item.at);
  }
  return withStatusFunction(inner.trim());
}

function checkUses(step: UsesStep): void {
  if (step.uses.startsWith('./')) return;
  const standIn = standInFor(step.uses);
  if (standIn === undefined)
    throw unsupported(`uses: ${step.uses} has no stand-in (test/lab/runner/stand-ins)`, step.usesAt);
  for (const [key, value] of Object.entries(step.with)) {
    if (!(key in standIn.inputs)) throw unsupported(`input '${key}' of ${standIn.name}`, value.at);
  }
}
