/** Inside the sandbox: builds the service, runs the rounds, prints `{round}` as a JSON line for each. bench.ts is the outside. */
import { run } from '../sandbox/inside.ts';
import { binary, binaryOfTests } from './deployment.ts';
import { type FaultName, faults } from './faults.ts';
import { runRound } from './round.ts';
import type { Durability } from './settings.ts';

/** What bench.ts passes on, as JSON. */
export interface Plan {
  readonly faults: readonly FaultName[];
  readonly rounds: number;
  readonly requestsPerS: number;
  readonly durability: Durability;
  /** The build with the sanitizers. */
  readonly sanitized: boolean;
  /** A folder of the host that gets what the programs of each round wrote. */
  readonly logs?: string;
}

const plan = JSON.parse(process.argv[2] ?? '{}') as Plan;
const program = plan.sanitized ? binaryOfTests : binary;
await run('make', ['-C', '/c-app', 'BUILD=/tmp/build', program], 300_000);
let number = 0;
// Interleaved, so that a busy minute of the machine does not hit one fault alone.
for (let round = 0; round < plan.rounds; round++)
  for (const fault of plan.faults) {
    number += 1;
    const { requestsPerS, durability } = plan;
    const result = await runRound({ number, fault, requestsPerS, durability, program, logs: plan.logs }).catch(
      (error: unknown) => {
        throw new Error(`round ${number} (${fault}: ${faults[fault].about}) broke`, { cause: error });
      },
    );
    console.log(JSON.stringify({ round: result }));
  }
process.exit(0); // keep-alive connections would hold it up
