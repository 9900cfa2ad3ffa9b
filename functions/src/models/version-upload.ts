import { type CreateVersion, uploadPartBytes } from '@tributary/contracts/models'
import type { Sql, Transaction } from '../database/transaction.ts'

/** The weights of a version that are uploaded in parts. */
export type VersionUpload = {
  /** Of the store. */
  readonly upload: string
  readonly partBytes: number
  readonly partSha256: readonly string[]
}

/** One part as it was declared. */
export type DeclaredPart = {
  readonly part: number
  readonly start: number
  readonly end: number
  readonly sha256: string
}

export const insertUpload = async (
  sql: Transaction,
  version: string,
  { upload, partBytes, partSha256 }: VersionUpload,
): Promise<void> => {
  await sql`
    insert into version_upload (version, file, upload, part_bytes, part_sha256)
    values (${version}, 'weights', ${upload}, ${partBytes}, ${[...partSha256]})`
}

/** Null where the version's weights go up in one piece. */
export const selectUpload = async (sql: Sql, version: string): Promise<VersionUpload | null> => {
  const [row] = await sql<VersionUpload[]>`
    select upload, part_bytes as "partBytes", part_sha256 as "partSha256" from version_upload
    where version = ${version} and file = 'weights'`
  return row ?? null
}

/** @param bytes of the whole file */
export const declaredParts = ({ partBytes, partSha256 }: VersionUpload, bytes: number): DeclaredPart[] =>
  partSha256.map((sha256, index) => ({
    part: index + 1,
    start: index * partBytes,
    end: Math.min((index + 1) * partBytes, bytes),
    sha256,
  }))

/** What is wrong with the parts that a body declares; null when nothing is. */
export const wrongParts = ({ bytes, parts }: CreateVersion['weights']): string | null => {
  const wanted = Math.ceil(bytes / uploadPartBytes)
  if (wanted === 1) return parts === undefined ? null : `none for a file of at most ${uploadPartBytes} bytes`
  return parts?.length === wanted ? null : `the sha256 of each of the ${wanted} parts of ${uploadPartBytes} bytes`
}
