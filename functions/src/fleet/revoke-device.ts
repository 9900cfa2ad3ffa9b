import { TributaryError } from '@tributary/contracts/errors'
import type { Context } from '../context.ts'
import type { Handler } from '../http/handler.ts'
import type { BrokerRegistrar } from './broker-registrar.ts'
import { deviceViewOf, selectDevice } from './device-view.ts'

/**
 * Revokes a device's certificate. A trigger moves its row to the end of the directory, so that every node of the region hears of it
 * by `status`; the command makes it quick. Revoking again changes nothing, but that the broker is told again.
 */
export const revokeDevice =
  ({
    audit,
    outbox,
    registrar,
  }: Pick<Context, 'audit' | 'outbox'> & { readonly registrar: BrokerRegistrar }): Handler<'revokeDevice'> =>
  async ({ params: { device }, actor }, sql) => {
    const revoked = await sql`
      update device set revoked_at = now() where id = ${device} and revoked_at is null`
    const row = await selectDevice(sql, device)
    if (row === undefined) throw new TributaryError('NOT_FOUND')
    sql.afterCommit(`registrar:${device}`, () => registrar.revoke({ kind: 'device', id: device }))
    if (revoked.count === 1) {
      await outbox.appendCommand(sql, row.region, 'device.revoked', { device })
      audit.append(sql, { actor, action: 'device.revoked', subject: `device/${device}` })
    }
    return deviceViewOf(row)
  }
