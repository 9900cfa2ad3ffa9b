import { TributaryError } from '@tributary/contracts/errors'
import type { Context } from '../context.ts'
import { asJson } from '../database/transaction.ts'
import type { Handler } from '../http/handler.ts'
import { deviceViewOf, selectDevice } from './device-view.ts'

/**
 * Changes groups and labels. A trigger moves the row to the end of the directory, so that nodes hear of it by their next `status`.
 * The region stays: a device of another region is another device to every node, so it enrols again.
 * @throws TributaryError NOT_FOUND, CERTIFICATE_REVOKED
 */
export const updateDevice =
  ({ audit }: Pick<Context, 'audit'>): Handler<'updateDevice'> =>
  async ({ params: { device }, body, actor }, sql) => {
    const before = await selectDevice(sql, device)
    if (before === undefined) throw new TributaryError('NOT_FOUND')
    const groups = [...new Set(body.groups ?? before.groups)]
    const labels = body.labels ?? before.labels
    const changed = await sql`
      update device set groups = ${groups}, labels = ${sql.json(asJson(labels))}
      where id = ${device} and revoked_at is null
        and (groups, labels) is distinct from (${groups}::text[], ${sql.json(asJson(labels))}::jsonb)`
    if (before.revoked) throw new TributaryError('CERTIFICATE_REVOKED', { detail: 'The device was revoked.' })
    if (changed.count === 1) {
      audit.append(sql, { actor, action: 'device.updated', subject: `device/${device}`, detail: { groups, labels } })
    }
    return deviceViewOf({ ...before, groups, labels })
  }
