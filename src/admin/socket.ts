/** Where the admin socket is. */
import { join, relative } from 'node:path';

/** sun_path holds 108 bytes with its end. */
const MAX_PATH_BYTES = 107;

/**
 * The path of the admin socket of a gateway's folder. A path too long for the kernel is given relative to the working
 * directory, which is short when one works inside the folder.
 */
export function socketPath(directory: string): string {
  const absolute = join(directory, 'run', 'admin.sock');
  if (Buffer.byteLength(absolute) <= MAX_PATH_BYTES) return absolute;
  return relative(process.cwd(), absolute);
}
