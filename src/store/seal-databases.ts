/**
 * Node's permission model guards node:fs and not node:sqlite: whoever runs code in the process could make and change
 * databases wherever the user may, `ATTACH` and `VACUUM INTO` included. The gateway opens one, at its start; after that
 * the door is taken away. What is open already goes on working.
 */

/** From now on nobody in this process opens a database. For `run` alone: it cannot be undone. */
export function sealDatabases(): void {
  const exported = process.getBuiltinModule('node:sqlite');
  // Every database that is open leads to its class.
  Reflect.deleteProperty(exported.DatabaseSync.prototype, 'constructor');
  // Undefined and not deleted: an importer is to find the name with nothing behind it.
  for (const name of Object.keys(exported)) Object.defineProperty(exported, name, { value: undefined });
}
