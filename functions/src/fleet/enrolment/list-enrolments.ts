import { TributaryError } from '@tributary/contracts/errors'
import { Uuid } from '@tributary/contracts/ids'
import type { Context } from '../../context.ts'
import { decodeCursor, pageOf } from '../../http/cursor.ts'
import type { Handler } from '../../http/handler.ts'

type Row = { device: string; label: string; revoked: boolean; enrolled_at: Date }

/** Who enrolled with a code, newest first. @throws TributaryError NOT_FOUND */
export const listEnrolments =
  ({ database }: Pick<Context, 'database'>): Handler<'listEnrolments'> =>
  async ({ params: { code }, query: { cursor, limit } }) => {
    const before = decodeCursor(cursor, Uuid)
    const rows = await database.read(async sql => {
      const [known] = await sql`select 1 from enrolment_code where id = ${code}`
      if (known === undefined) throw new TributaryError('NOT_FOUND')
      return sql<Row[]>`
        select e.device, d.label, d.revoked_at is not null as revoked, e.enrolled_at
        from enrolment e join device d on d.id = e.device
        where e.code = ${code} ${before === null ? sql`` : sql`and e.device < ${before}`}
        order by e.device desc limit ${limit + 1}`
    })
    return pageOf(rows, limit, {
      item: ({ enrolled_at, ...row }) => ({ ...row, enrolledAt: enrolled_at.toISOString() }),
      position: ({ device }) => device,
    })
  }
