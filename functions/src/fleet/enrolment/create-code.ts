import { TributaryError } from '@tributary/contracts/errors'
import type { Context } from '../../context.ts'
import { asJson } from '../../database/transaction.ts'
import type { Handler } from '../../http/handler.ts'
import { codeHash, codeHint, newCode } from './code-text.ts'
import { type CodeRow, codeColumns, codeViewOf } from './code-view.ts'

const mostDays = 366

/**
 * Makes an enrolment code. It is in this answer and nowhere else: kept is its hash, and a repetition of the request gets null.
 * @throws TributaryError REGION_UNKNOWN, BODY_INVALID
 */
export const createEnrolmentCode =
  ({ audit, ids, clock }: Pick<Context, 'audit' | 'ids' | 'clock'>): Handler<'createEnrolmentCode'> =>
  async ({ body, actor }, sql) => {
    const { region, count, kind, groups, labels, labelPrefix = null } = body
    const expiresAt = new Date(body.expiresAt)
    const days = (expiresAt.getTime() - clock.now().getTime()) / 86_400_000
    if (days <= 0 || days > mostDays) {
      const errors = [{ path: 'expiresAt', message: `in the future, within ${mostDays} days` }]
      throw new TributaryError('BODY_INVALID', { extra: { errors } })
    }
    const [known] = await sql`select 1 from region where region = ${region}`
    if (known === undefined) throw new TributaryError('REGION_UNKNOWN')
    const id = ids.next()
    const code = newCode()
    const [row] = await sql<CodeRow[]>`
      insert into enrolment_code (id, code_sha256, hint, region, kind, groups, labels, label_prefix, uses, uses_left, expires_at,
        created_by)
      values (${id}, ${codeHash(code)}, ${codeHint(code)}, ${region}, ${kind}, ${[...new Set(groups)]},
        ${sql.json(asJson(labels))}, ${labelPrefix}, ${count}, ${count}, ${expiresAt}, ${actor})
      returning ${codeColumns(sql)}`
    const detail = { region, kind, count, groups, labels, expiresAt: expiresAt.toISOString() }
    audit.append(sql, { actor, action: 'enrolment-code.created', subject: `enrolment-code/${id}`, detail })
    return { ...codeViewOf(row as CodeRow), code }
  }
