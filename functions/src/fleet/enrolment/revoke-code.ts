import { TributaryError } from '@tributary/contracts/errors'
import type { Context } from '../../context.ts'
import type { Handler } from '../../http/handler.ts'
import { type CodeRow, codeColumns, codeViewOf } from './code-view.ts'

/** Revokes a code; devices that enrolled with it stay. Revoking again changes nothing. @throws TributaryError NOT_FOUND */
export const revokeEnrolmentCode =
  ({ audit }: Pick<Context, 'audit'>): Handler<'revokeEnrolmentCode'> =>
  async ({ params: { code }, actor }, sql) => {
    const revoked = await sql`
      update enrolment_code set revoked_at = now() where id = ${code} and revoked_at is null`
    const [row] = await sql<CodeRow[]>`select ${codeColumns(sql)} from enrolment_code where id = ${code}`
    if (row === undefined) throw new TributaryError('NOT_FOUND')
    if (revoked.count === 1) {
      audit.append(sql, { actor, action: 'enrolment-code.revoked', subject: `enrolment-code/${code}` })
    }
    return codeViewOf(row)
  }
