import { describe } from 'vitest';
import { balancerSettings } from './settings-balancer.ts';
import { redisSettings } from './settings-redis.ts';
import { sentinelSettings } from './settings-sentinel.ts';
import { serviceSettings } from './settings-service.ts';
import { sharedAddressSettings } from './settings-shared.ts';

/**
 * Settings on which a promise rests, by their effect on what runs and not by their text: a text can be accepted and ignored, as HAProxy 3.0
 * does with tcp-ut on default-server. For a lab that is up; each test leaves a whole fleet. ARCHITECTURE.md has the list, also of what only
 * a drill can show.
 */
export function settingsTests(): void {
  describe('HAProxy', balancerSettings);
  describe('sessiond', serviceSettings);
  describe('Sentinel', sentinelSettings);
  describe('Redis', redisSettings);
  describe('keepalived', sharedAddressSettings);
}
