import type { Context } from '../context.ts'
import type { Transaction } from '../database/transaction.ts'
import type { CheckedManifest } from './check-bundle.ts'

/** Makes a version whose files were checked usable; one that is not in that state (any more) stays as it is. */
export const makeReady = async (
  { audit }: Pick<Context, 'audit'>,
  sql: Transaction,
  {
    version,
    from,
    manifest,
    actor,
  }: { version: string; from: 'uploading' | 'checking'; manifest: CheckedManifest; actor: string },
): Promise<void> => {
  const [moved] = await sql<{ sha256: string }[]>`
    update model_version set state = 'ready', manifest_sha256 = ${manifest.sha256}, manifest_bytes = ${manifest.bytes}
    where id = ${version} and state = ${from}
    returning weights_sha256 as sha256`
  if (moved === undefined) return
  // Its parts are an object now.
  await sql`delete from version_upload where version = ${version}`
  const detail = { sha256: moved.sha256 }
  audit.append(sql, { actor, action: 'version.finalised', subject: `version/${version}`, detail })
}
