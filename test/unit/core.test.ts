import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import ssh2 from 'ssh2';
import { describe, expect, it } from 'vitest';
import { sleep, until, withDeadline } from '../../actions/core/deadline.ts';
import { deriveDeployKey, deriveHostKey, derivePassword } from '../../actions/core/derive.ts';
import { jsonSchemaText } from '../../actions/core/environment/json-schema.ts';
import { FiredrillError, messageOf } from '../../actions/core/errors.ts';
import { Secret } from '../../actions/core/secret.ts';
import { shellQuote } from '../../actions/core/ssh.ts';
import { notInstalled } from '../host/tools.mjs';

const fleetSecret = new Secret('a fleet secret of at least thirty-two characters');

describe('a secret', () => {
  it('does not show when printed, joined, serialised or inspected', () => {
    const secret = new Secret('hunter2');
    const shown = [
      `${secret}`,
      String(secret),
      JSON.stringify({ secret }),
      inspect({ secret }, { showHidden: true }),
    ].join(' ');
    expect(shown).not.toContain('hunter2');
    expect(secret.reveal()).toBe('hunter2');
  });
});

describe('what is derived from the fleet secret', () => {
  it('is the same on every run and differs by environment and purpose', () => {
    const password = (environment: string, purpose: string) =>
      derivePassword(fleetSecret, environment, purpose).reveal();
    expect(password('lab', 'redis')).toBe(password('lab', 'redis'));
    expect(new Set([password('lab', 'redis'), password('lab', 'sentinel'), password('production', 'redis')]).size).toBe(
      3,
    );
  });

  it('are keys that ssh2 reads, with the public half that we pin', () => {
    for (const key of [deriveHostKey(fleetSecret, 'lab', 'redis-1'), deriveDeployKey(fleetSecret, 'lab')]) {
      const parsed = ssh2.utils.parseKey(key.privateKey.reveal());
      if (parsed instanceof Error) throw parsed;
      expect(`ssh-ed25519 ${parsed.getPublicSSH().toString('base64')}`).toBe(
        key.publicLine.split(' ').slice(0, 2).join(' '),
      );
    }
  });

  it('are keys that OpenSSH reads', ({ skip }) => {
    const missing = notInstalled(['ssh-keygen']);
    if (missing !== undefined) skip(missing);
    const folder = mkdtempSync(join(tmpdir(), 'firedrill-key-'));
    try {
      const key = deriveHostKey(fleetSecret, 'lab', 'redis-1');
      writeFileSync(join(folder, 'key'), key.privateKey.reveal(), { mode: 0o600 });
      const shown = execFileSync('ssh-keygen', ['-y', '-f', join(folder, 'key')], { encoding: 'utf8' });
      expect(shown.trim()).toBe(key.publicLine);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('deadlines', () => {
  it('a wait that overruns says what it waited for and what it saw last', async () => {
    const never = until(() => Promise.reject(new Error('still loading')), {
      timeoutMs: 20,
      intervalMs: 5,
      what: 'redis-2 to link',
    });
    await expect(never).rejects.toThrow(/waited 20 ms for redis-2 to link; last answer: still loading/);
  });

  it('a wait that is cancelled ends at once, not at its next look', async () => {
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 20);
    const begun = performance.now();
    const wait = until(async () => undefined, { timeoutMs: 60_000, intervalMs: 5000, what: 'x', signal: stop.signal });
    await expect(wait).rejects.toMatchObject({ code: 'cancelled', message: 'cancelled while waiting for x' });
    expect(performance.now() - begun).toBeLessThan(1000);
  });

  it('work that overruns is told to close', async () => {
    let closed = false;
    const work = withDeadline(sleep(200), 10, 'the slow thing', () => {
      closed = true;
    });
    await expect(work).rejects.toThrow(/the slow thing took longer than 10 ms/);
    expect(closed).toBe(true);
  });
});

describe('an error', () => {
  it('says where, what and what to do', () => {
    const error = new FiredrillError({
      code: 'gate',
      node: 'lb-1',
      phase: 'validate',
      where: 'haproxy.cfg:12',
      what: 'unknown keyword',
      fix: 'Correct it',
    });
    expect(error.message).toBe('haproxy.cfg:12, lb-1, validate: unknown keyword. Correct it');
  });

  it('has a text for whatever was thrown', () => {
    expect(messageOf([{ field: 'label', reason: 'taken' }])).toContain('taken');
    expect(messageOf(new AggregateError([new Error('a'), new Error('b')]))).toBe('a; b');
  });
});

describe('a value in a shell command', () => {
  it.each(['plain-1.2', "it's", '$(rm -rf /)', 'a b', '', '`x`', '\n'])('%j arrives as it is', (value) => {
    expect(execFileSync('sh', ['-c', `printf %s ${shellQuote(value)}`], { encoding: 'utf8' })).toBe(value);
  });
});

it('environments/schema.json is what the code says (npm run schema writes it)', () => {
  expect(readFileSync('environments/schema.json', 'utf8')).toBe(jsonSchemaText());
});
