import { fileURLToPath } from 'node:url'
import middy from '@middy/core'
import { readConfig } from '../config.ts'
import { migrate } from './migrate.ts'

/** Invoked once a deployment, before anything else. The build lays the files beside the bundle. */
const folder = fileURLToPath(new URL('./migrations/', import.meta.url))
const { database } = readConfig(['database'])

export const handler = middy(async () => ({ applied: await migrate({ databaseUrl: database.DATABASE_URL, folder }) }))
