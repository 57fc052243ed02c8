import type { ScenarioName } from '../../core/environment/schema.ts';
import { appKill } from './app-kill.ts';
import { redisPrimaryHang } from './redis-primary-hang.ts';
import { redisPrimaryKill } from './redis-primary-kill.ts';
import { redisPrimaryStop } from './redis-primary-stop.ts';
import type { Scenario } from './scenario.ts';
import { sentinelKill } from './sentinel-kill.ts';

export type { LiveState, Scenario, ScriptCall } from './scenario.ts';

export const scenarios: Readonly<Record<ScenarioName, Scenario>> = {
  'redis-primary-stop': redisPrimaryStop,
  'redis-primary-kill': redisPrimaryKill,
  'redis-primary-hang': redisPrimaryHang,
  'sentinel-kill': sentinelKill,
  'app-kill': appKill,
};
