import { readdirSync } from 'node:fs'

/** Name of the last migration in a folder. @throws NodeJS.ErrnoException when it is not there */
export const newestMigration = (folder: string): string | null =>
  readdirSync(folder)
    .filter(name => /^\d{4}-[a-z0-9-]+\.sql$/.test(name))
    .sort()
    .at(-1) ?? null
