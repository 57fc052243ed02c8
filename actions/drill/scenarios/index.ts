import type { ScenarioName } from '../../core/environment/schema.ts';
import { appAndPrimaryFrozen } from './app-and-primary-frozen.ts';
import { appBlinking } from './app-blinking.ts';
import { appFrozen } from './app-frozen.ts';
import { appHang } from './app-hang.ts';
import { appKill } from './app-kill.ts';
import { appPowerOff } from './app-power-off.ts';
import { appSilent } from './app-silent.ts';
import { appStop } from './app-stop.ts';
import { appsFrozen } from './apps-frozen.ts';
import { badReleaseReverts } from './bad-release-reverts.ts';
import { clockJump } from './clock-jump.ts';
import { doubleFailover } from './double-failover.ts';
import { fleetColdStart } from './fleet-cold-start.ts';
import { laggingReplicaThenKill } from './lagging-replica-then-kill.ts';
import { lbBlinking } from './lb-blinking.ts';
import { lbFrozen } from './lb-frozen.ts';
import { lbHang } from './lb-hang.ts';
import { lbKill } from './lb-kill.ts';
import { lbPowerOff } from './lb-power-off.ts';
import { lbSilent } from './lb-silent.ts';
import { lbSilentInside } from './lb-silent-inside.ts';
import { lbSilentVlan } from './lb-silent-vlan.ts';
import { leaderCrash } from './leader-crash.ts';
import { minorityPartition } from './minority-partition.ts';
import { packetLoss } from './packet-loss.ts';
import { reapplyAfterFailover } from './reapply-after-failover.ts';
import { redisPrimaryBlinking } from './redis-primary-blinking.ts';
import { redisPrimaryCrash } from './redis-primary-crash.ts';
import { redisPrimaryDiskFull } from './redis-primary-disk-full.ts';
import { redisPrimaryFrozen } from './redis-primary-frozen.ts';
import { redisPrimaryHang } from './redis-primary-hang.ts';
import { redisPrimaryKill } from './redis-primary-kill.ts';
import { redisPrimaryPartition } from './redis-primary-partition.ts';
import { redisPrimaryPartitionOneWay } from './redis-primary-partition-one-way.ts';
import { redisPrimaryPowerOff } from './redis-primary-power-off.ts';
import { redisPrimaryReboot } from './redis-primary-reboot.ts';
import { redisPrimarySilent } from './redis-primary-silent.ts';
import { redisPrimaryStop } from './redis-primary-stop.ts';
import { redisReplicaBlinking } from './redis-replica-blinking.ts';
import { redisReplicaFrozen } from './redis-replica-frozen.ts';
import { redisReplicaKill } from './redis-replica-kill.ts';
import { redisReplicaPartition } from './redis-replica-partition.ts';
import { redisReplicaSilent } from './redis-replica-silent.ts';
import { rolloutUnderLoad } from './rollout-under-load.ts';
import type { Scenario } from './scenario.ts';
import { sentinelAndPrimaryKill } from './sentinel-and-primary-kill.ts';
import { sentinelBlinking } from './sentinel-blinking.ts';
import { sentinelFrozen } from './sentinel-frozen.ts';
import { sentinelKill } from './sentinel-kill.ts';
import { sentinelSilent } from './sentinel-silent.ts';
import { sentinelTwoKilled } from './sentinel-two-killed.ts';
import { sentinelsPausedThenPrimaryKill } from './sentinels-paused-then-primary-kill.ts';
import { slowNetwork } from './slow-network.ts';
import { twoSentinelsAndPrimaryKill } from './two-sentinels-and-primary-kill.ts';

export type { Fault, LiveState, Release, Scenario, ScriptCall, Step } from './scenario.ts';

export const scenarios: Readonly<Record<ScenarioName, Scenario>> = {
  'redis-primary-stop': redisPrimaryStop,
  'redis-primary-crash': redisPrimaryCrash,
  'redis-primary-kill': redisPrimaryKill,
  'redis-primary-hang': redisPrimaryHang,
  'redis-primary-partition': redisPrimaryPartition,
  'redis-primary-partition-one-way': redisPrimaryPartitionOneWay,
  'redis-primary-reboot': redisPrimaryReboot,
  'redis-primary-power-off': redisPrimaryPowerOff,
  'redis-primary-disk-full': redisPrimaryDiskFull,
  'redis-primary-silent': redisPrimarySilent,
  'redis-primary-frozen': redisPrimaryFrozen,
  'redis-primary-blinking': redisPrimaryBlinking,
  'redis-replica-kill': redisReplicaKill,
  'redis-replica-partition': redisReplicaPartition,
  'redis-replica-silent': redisReplicaSilent,
  'redis-replica-frozen': redisReplicaFrozen,
  'redis-replica-blinking': redisReplicaBlinking,
  'sentinel-kill': sentinelKill,
  'sentinel-two-killed': sentinelTwoKilled,
  'sentinel-silent': sentinelSilent,
  'sentinel-frozen': sentinelFrozen,
  'sentinel-blinking': sentinelBlinking,
  'sentinel-and-primary-kill': sentinelAndPrimaryKill,
  'two-sentinels-and-primary-kill': twoSentinelsAndPrimaryKill,
  'sentinels-paused-then-primary-kill': sentinelsPausedThenPrimaryKill,
  'leader-crash': leaderCrash,
  'double-failover': doubleFailover,
  'minority-partition': minorityPartition,
  'lagging-replica-then-kill': laggingReplicaThenKill,
  'app-stop': appStop,
  'app-kill': appKill,
  'app-hang': appHang,
  'app-power-off': appPowerOff,
  'app-silent': appSilent,
  'app-frozen': appFrozen,
  'app-blinking': appBlinking,
  'apps-frozen': appsFrozen,
  'app-and-primary-frozen': appAndPrimaryFrozen,
  'lb-kill': lbKill,
  'lb-hang': lbHang,
  'lb-power-off': lbPowerOff,
  'lb-silent': lbSilent,
  'lb-silent-inside': lbSilentInside,
  'lb-silent-vlan': lbSilentVlan,
  'lb-frozen': lbFrozen,
  'lb-blinking': lbBlinking,
  'clock-jump': clockJump,
  'packet-loss': packetLoss,
  'slow-network': slowNetwork,
  'reapply-after-failover': reapplyAfterFailover,
  'rollout-under-load': rolloutUnderLoad,
  'bad-release-reverts': badReleaseReverts,
  'fleet-cold-start': fleetColdStart,
};
