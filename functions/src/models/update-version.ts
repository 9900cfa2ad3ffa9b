import { TributaryError } from '@tributary/contracts/errors'
import type { Context } from '../context.ts'
import type { Handler } from '../http/handler.ts'
import { selectVersionView } from './version-view.ts'

export const updateVersion =
  ({ audit }: Pick<Context, 'audit'>): Handler<'updateVersion'> =>
  async ({ params, body: { notes }, actor }, sql) => {
    const changed = await sql`
      update model_version set notes = ${notes} where id = ${params.version} and model = ${params.model}`
    if (changed.count === 0) throw new TributaryError('NOT_FOUND')
    audit.append(sql, { actor, action: 'version.noted', subject: `version/${params.version}`, detail: { notes } })
    return selectVersionView(sql, params)
  }
