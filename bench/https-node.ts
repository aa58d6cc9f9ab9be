/** `https-node`: the same job beside what a Node developer would put together without any of it. */
import { fileURLToPath } from 'node:url';
import type { Bench } from './core/bench.ts';
import { freePort, SERVER_CORE } from './core/children.ts';
import { httpsScene } from './core/https-scene.ts';

const PROXY = fileURLToPath(new URL('./peers/http-proxy.ts', import.meta.url));

export const httpsNode: Bench = {
  name: 'https-node',
  about: 'the same, beside the package http-proxy with mTLS and no policy',
  needs: ['nginx', 'ab'],
  run: (options) =>
    httpsScene(
      {
        name: 'https-node',
        against: 'http-proxy 1.18.1 behind node:https, mTLS, no policy',
        bar: { kind: 'ratio', atLeast: 2 },
        of: 'baseline/ours',
        peer: async (workplace, { files }, cloud) => {
          const port = await freePort();
          const words = [PROXY, String(port), cloud.origin, files.certificate, files.key, files.authority];
          const child = workplace.start('http-proxy', process.execPath, words, { core: SERVER_CORE });
          await workplace.listening(child, port);
          return { name: 'http-proxy', port, processes: [child] };
        },
      },
      options,
    ),
};
