import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { withHints } from '../../../src/cli/hint.ts';

const here = (name: string) => join(process.cwd(), name);

describe('advised commands', () => {
  beforeEach(() => vi.stubEnv('npm_command', ''));
  afterEach(() => vi.unstubAllEnvs());

  it('name the folder of the command that advises them', () => {
    expect(withHints('run `sallyport doctor`, then sallyport audit tail -f', here('gw'))).toBe(
      'run `sallyport -C gw doctor`, then sallyport -C gw audit tail -f',
    );
    expect(withHints('sallyport status', process.cwd())).toBe('sallyport status');
    expect(withHints('sallyport status', '/var/lib/sallyport')).toBe('sallyport -C /var/lib/sallyport status');
    expect(withHints('sallyport status', '/my gw/it’s')).toBe("sallyport -C '/my gw/it’s' status");
    expect(withHints('sallyport status', "/it's; rm -rf")).toBe("sallyport -C '/it'\\''s; rm -rf' status");
  });

  it('are started as this one was', () => {
    vi.stubEnv('npm_command', 'exec');
    expect(withHints('sallyport device list', here('gw'))).toBe('npx sallyport -C gw device list');
    expect(withHints('sallyport init DIR --cloud URL', here('gw'))).toBe('npx sallyport init DIR --cloud URL');
  });

  it('that are written out stay, and so does what is no command', () => {
    const text = 'npx sallyport -C ./gw run; sallyport: bad; /opt/sallyport run; the sallyport yard; sallyport.yaml';
    expect(withHints(text, here('gw'))).toBe(text);
  });
});
