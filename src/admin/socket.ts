/** Where the admin socket is, and the one by which the workers find their lead. */
import { join, relative } from 'node:path';

/** sun_path holds 108 bytes with its end. */
const MAX_PATH_BYTES = 107;

/**
 * The path of a socket of a gateway's folder. A path too long for the kernel is given relative to the working
 * directory, which is short when one works inside the folder.
 */
export function socketPath(directory: string, name: 'admin.sock' | 'workers.sock' = 'admin.sock'): string {
  const absolute = join(directory, 'run', name);
  if (Buffer.byteLength(absolute) <= MAX_PATH_BYTES) return absolute;
  return relative(process.cwd(), absolute);
}
