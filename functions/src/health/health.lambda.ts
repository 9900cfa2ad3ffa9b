import { fileURLToPath } from 'node:url'
import { httpFunction } from '../http/http-function.ts'
import { newestMigration } from '../migrations/newest-migration.ts'
import { getHealth } from './get-health.ts'

/** The build lays the migrations beside this bundle too: this code needs a database that has seen them. */
const folder = fileURLToPath(new URL('./migrations/', import.meta.url))

export const handler = httpFunction('health', context => ({
  getHealth: getHealth({ ...context, newestMigration: newestMigration(folder) }),
}))
