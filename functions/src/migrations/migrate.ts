import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import postgres from 'postgres'
import { advisoryLocks } from '../database/advisory-locks.ts'
import { fetchTypes } from '../database/value-types.ts'

const defaultFolder = fileURLToPath(new URL('../../migrations/', import.meta.url))

export type Migration = { readonly name: string; readonly sql: string; readonly sha256: string }

/** The migrations are not those that this database has seen. */
export class MigrationError extends Error {
  override readonly name = 'MigrationError'
}

/** Migrations of a folder in order: `NNNN-what.sql`. */
export const readMigrations = async (folder: string): Promise<Migration[]> => {
  const names = (await readdir(folder)).filter(name => /^\d{4}-[a-z0-9-]+\.sql$/.test(name)).sort()
  return Promise.all(
    names.map(async name => {
      const sql = await readFile(join(folder, name), 'utf8')
      return { name, sql, sha256: createHash('sha256').update(sql).digest('hex') }
    }),
  )
}

/**
 * Brings a database up to the newest schema: forward only, each file in a transaction of its own, one process at a time.
 * @returns names of the migrations that were applied now
 * @throws MigrationError when an applied file was changed or is missing
 */
export const migrate = async (options: { databaseUrl: string; folder?: string }): Promise<string[]> => {
  const migrations = await readMigrations(options.folder ?? defaultFolder)
  const sql = postgres(options.databaseUrl, {
    max: 1,
    connect_timeout: 10,
    fetch_types: fetchTypes,
    onnotice: () => undefined,
  })
  try {
    // Held by the session: it ends with the connection, however this process ends.
    await sql`select pg_advisory_lock(${advisoryLocks.migrations})`
    await sql`
      create table if not exists schema_migration (
        name text primary key, sha256 text not null, applied_at timestamptz not null default now())`
    const applied = await sql<{ name: string; sha256: string }[]>`
      select name, sha256 from schema_migration order by name`
    const missing = migrationsToApply(migrations, applied)
    for (const { name, sql: text, sha256 } of missing) {
      await sql.begin(async transaction => {
        await transaction.unsafe(text)
        await transaction`insert into schema_migration (name, sha256) values (${name}, ${sha256})`
      })
    }
    return missing.map(({ name }) => name)
  } finally {
    await sql.end({ timeout: 5 })
  }
}

const migrationsToApply = (
  migrations: readonly Migration[],
  applied: readonly { name: string; sha256: string }[],
): Migration[] => {
  const known = new Map(migrations.map(migration => [migration.name, migration]))
  for (const { name, sha256 } of applied) {
    const file = known.get(name)
    if (file === undefined) throw new MigrationError(`${name} was applied here but its file is missing: use newer code`)
    if (file.sha256 !== sha256)
      throw new MigrationError(
        `${name} was applied here with other content: run the code that applied it, or begin with an empty database`,
      )
  }
  const missing = migrations.slice(applied.length)
  if (migrations.slice(0, applied.length).some(({ name }, index) => name !== applied[index]?.name)) {
    throw new MigrationError('a migration was put in before one that is applied: number it last')
  }
  return missing
}
