/** `https`: the whole job on a kept-alive mTLS connection, beside an nginx that only forwards. */
import type { Bench } from './core/bench.ts';
import { httpsScene } from './core/https-scene.ts';
import { startNginx } from './core/nginx.ts';

export const https: Bench = {
  name: 'https',
  about: 'mTLS keep-alive POST: identity, policy, pseudonyms, ledger, forwarded; beside nginx, which only forwards',
  needs: ['nginx', 'ab'],
  run: (options) =>
    httpsScene(
      {
        name: 'https',
        against: 'nginx, mTLS, plain proxy',
        bar: { kind: 'ratio', atMost: 2.5 },
        peer: (workplace, house, cloud) =>
          startNginx(workplace, { name: 'nginx', files: house.files, cloudPort: cloud.port }),
      },
      options,
    ),
};
