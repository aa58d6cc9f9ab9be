/** `https-opa`: the same job beside an nginx that asks an OPA server about every request. Its answer is not even recorded. */
import type { Bench } from './core/bench.ts';
import { httpsScene } from './core/https-scene.ts';
import { startNginx } from './core/nginx.ts';
import { startOpa } from './core/opa.ts';

export const httpsOpa: Bench = {
  name: 'https-opa',
  about: 'the same, beside nginx with auth_request to an OPA server with the same policy',
  needs: ['nginx', 'ab', 'opa'],
  run: (options) =>
    httpsScene(
      {
        name: 'https-opa',
        against: 'nginx, mTLS, auth_request to `opa run --server`',
        bar: { kind: 'ratio', atLeast: 3 },
        of: 'baseline/ours',
        peer: async (workplace, house, cloud) => {
          const { child, http, server, location } = await startOpa(workplace, house, ['thermo-1']);
          return startNginx(workplace, {
            name: 'nginx+opa',
            files: house.files,
            cloudPort: cloud.port,
            http,
            server,
            location,
            alongside: [child],
          });
        },
      },
      options,
    ),
};
