import { defineConfig } from 'vitest/config';

/** Tests that start whole processes: after the small ones. */
const WHOLE = ['test/e2e/**/*.test.ts', 'test/attack/**/*.test.ts', 'test/interop/**/*.test.ts'];
/** Those of them that load the machine or measure time or memory: at the end, one after the other. */
const MEASURED = [
  'test/attack/hostile-cloud.test.ts',
  'test/attack/kill.test.ts',
  'test/attack/parsers.test.ts',
  'test/attack/slow-connections.test.ts',
  'test/attack/websocket-bombs.test.ts',
];

export default defineConfig({
  test: {
    testTimeout: 60_000,
    hookTimeout: 120_000,
    pool: 'forks',
    projects: [
      {
        extends: true,
        test: {
          name: 'parts',
          include: ['test/**/*.test.ts'],
          exclude: WHOLE,
          maxWorkers: 3,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: { name: 'whole', include: WHOLE, exclude: MEASURED, maxWorkers: 3, sequence: { groupOrder: 1 } },
      },
      {
        extends: true,
        test: {
          name: 'measured',
          include: MEASURED,
          maxWorkers: 1,
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
