import type { AttemptRef } from '@tributary/contracts/ids'
import type { Database } from '../database/database.ts'
import type { Sql } from '../database/transaction.ts'

/** Files that a merge makes. */
export type MergedFile = 'weights' | 'state'

/** How far the runs of a merge have come, beside what object storage tells by the parts that it has. */
export type MergeProgress = {
  readonly uploads: Readonly<Partial<Record<MergedFile, string>>>
  /** Keys of inputs that were found to be what was declared. */
  readonly verified: readonly string[]
}

/** Where the progress of one attempt's merge is kept: runs may follow one another, or go on at the same time. */
export type ProgressNotes = {
  read(): Promise<MergeProgress>
  /** The upload that all runs send to: the first that was noted. @throws AttemptSettledError */
  claimUpload(file: MergedFile, upload: string): Promise<string>
  /** Forgets an upload that is no longer there. */
  dropUpload(file: MergedFile, upload: string): Promise<void>
  noteVerified(key: string): Promise<void>
}

/** The attempt was settled while it was merged: by another run, or because the task was stopped. */
export class AttemptSettledError extends Error {
  override readonly name = 'AttemptSettledError'
}

const nothing: MergeProgress = { uploads: {}, verified: [] }

/** In the attempt's row; each note is one conditional statement that may arrive twice. */
export const progressNotes = (database: Database, { task, round, attempt }: AttemptRef): ProgressNotes => {
  const closing = (sql: Sql) => sql`task = ${task} and round = ${round} and attempt = ${attempt} and state = 'closing'`
  const empty = (sql: Sql) => sql`coalesce(merge_progress, '{"uploads": {}, "verified": []}')`
  return {
    async read() {
      const [row] = await database.read(
        sql => sql<{ progress: MergeProgress | null }[]>`
          select merge_progress as progress from round_attempt where ${closing(sql)}`,
      )
      return row?.progress ?? nothing
    },
    async claimUpload(file, upload) {
      const [row] = await database.read(
        sql => sql<{ upload: string }[]>`
          update round_attempt set merge_progress = case
            when merge_progress #>> array['uploads', ${file}::text] is not null then merge_progress
            else jsonb_set(${empty(sql)}, array['uploads', ${file}::text], to_jsonb(${upload}::text)) end
          where ${closing(sql)}
          returning merge_progress #>> array['uploads', ${file}::text] as upload`,
      )
      if (row === undefined) throw new AttemptSettledError()
      return row.upload
    },
    async dropUpload(file, upload) {
      await database.read(
        sql => sql`
          update round_attempt set merge_progress = merge_progress #- array['uploads', ${file}::text]
          where ${closing(sql)} and merge_progress #>> array['uploads', ${file}::text] = ${upload}`,
      )
    },
    async noteVerified(key) {
      await database.read(
        sql => sql`
          update round_attempt set merge_progress =
            jsonb_set(${empty(sql)}, '{verified}', ${empty(sql)} -> 'verified' || to_jsonb(${key}::text))
          where ${closing(sql)} and not ${empty(sql)} -> 'verified' ? ${key}`,
      )
    },
  }
}
