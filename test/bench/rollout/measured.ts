import type { Pair } from './compare.ts';
import type { Exchange } from './trips.ts';

/** What facts.sh printed on a real node, by the node's name. */
export type Recorded = Readonly<Record<string, string>>;

/** What was measured in the lab's network; a part that was not asked for is absent. */
export interface Measured {
  pairs?: readonly Pair[];
  /** Round trips by exchange. */
  trips?: readonly (readonly [Exchange, number])[];
  facts?: Recorded;
}
