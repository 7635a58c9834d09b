import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { findTool, missingTools } from './support/tools.ts';

/** Highest exposure that `systemd-analyze security` may find. */
const EXPOSURE = { 'systemd/backdial-server.service': 2.0, 'systemd/backdial-agent.service': 1.5 };
const skip = missingTools('systemd-analyze');

describe('the units of systemd', () => {
  it('are as little exposed as they are meant to be', { skip }, () => {
    for (const [unit, most] of Object.entries(EXPOSURE)) {
      const text = execFileSync(findTool('systemd-analyze'), ['security', '--offline=true', '--no-pager', unit], {
        encoding: 'utf8',
      });
      const found = /Overall exposure level for [\w.-]+: ([\d.]+)/.exec(text)?.[1];
      assert.ok(found !== undefined, text);
      assert.ok(Number(found) <= most, `${unit}: ${found}\n${text}`);
    }
  });

  it('have no key that systemd does not know', { skip }, () => {
    const units = globSync('systemd/*.{service,socket}');
    assert.equal(units.length, 3);
    for (const unit of units) {
      const { stderr, stdout } = runVerify(unit);
      assert.doesNotMatch(stderr + stdout, /Unknown (?:key|section|lvalue)|Failed to parse|Invalid/i, unit);
    }
  });

  it('start again whatever ended, and never give up', () => {
    for (const unit of ['server', 'agent']) {
      const text = readFileSync(new URL(`../systemd/backdial-${unit}.service`, import.meta.url), 'utf8');
      assert.match(text, /^Restart=always$/m);
      assert.match(text, /^StartLimitIntervalSec=0$/m);
    }
  });

  it('wait for READY, are watched, and take messages from a process of its own', () => {
    for (const unit of Object.keys(EXPOSURE)) {
      const text = readFileSync(unit, 'utf8');
      for (const line of ['Type=notify', 'NotifyAccess=all', 'WatchdogSec=30'])
        assert.match(text, new RegExp(`^${line}$`, 'm'));
    }
  });
});

function runVerify(unit: string): { stdout: string; stderr: string } {
  try {
    const args = ['verify', '--recursive-errors=no', '--man=no', unit];
    return { stdout: execFileSync(findTool('systemd-analyze'), args, { encoding: 'utf8', stdio: 'pipe' }), stderr: '' };
  } catch (error) {
    // What it complains of where no system runs is none of the unit's.
    return error as { stdout: string; stderr: string };
  }
}
