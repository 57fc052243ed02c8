/** One request to be made. */
export interface Step {
  readonly op: 'read' | 'write';
  readonly key: string;
  readonly value: string | null;
}

export interface Workload {
  next(): Step;
}

const writers = 8;
const ownKeysPerWriter = 16;
const sharedKeys = 4;
const recentKeys = 256;

/**
 * What the probe asks for: reads and writes in turn, every value written once. Most writes go to a key of their own, written only
 * once: on a key that is written again and again a later write would cover up a loss. The others go to keys that each belong to one
 * writer, or that all share. Reads ask for what was written lately.
 * @param run makes the keys of this run unlike any other's
 */
export function workload(run: string): Workload {
  const random = generator(1);
  const recent: string[] = [];
  let count = 0;
  const key = (): string => {
    const pick = random();
    if (pick < 0.6) return `drill-${run}-once-${count}`;
    if (pick < 0.85) {
      const own = Math.floor(random() * ownKeysPerWriter);
      return `drill-${run}-writer-${count % writers}-${own}`;
    }
    return `drill-${run}-shared-${Math.floor(random() * sharedKeys)}`;
  };
  return {
    next() {
      count += 1;
      const read = count % 2 === 0;
      if (read) return { op: 'read', key: recent[Math.floor(random() * recent.length)] ?? key(), value: null };
      const step: Step = { op: 'write', key: key(), value: `${run}-${count}` };
      recent.push(step.key);
      if (recent.length > recentKeys) recent.shift();
      return step;
    },
  };
}

/** mulberry32: the same sequence for the same seed, so a run can be looked at again. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
