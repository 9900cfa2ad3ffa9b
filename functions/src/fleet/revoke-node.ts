import { TributaryError } from '@tributary/contracts/errors'
import type { Context } from '../context.ts'
import type { Handler } from '../http/handler.ts'
import type { BrokerRegistrar } from './broker-registrar.ts'
import { type NodeViewRow, nodeViewColumns, nodeViewOf } from './node-view.ts'

/**
 * Revokes a regional node's certificate: its next request is refused, and its leases end now, so that another node takes
 * the shards with a new epoch. Revoking again changes nothing, but that the broker is told again.
 */
export const revokeNode =
  ({ audit, registrar }: Pick<Context, 'audit'> & { readonly registrar: BrokerRegistrar }): Handler<'revokeNode'> =>
  async ({ params: { node }, actor }, sql) => {
    // Shards before the node, as status calls lock them: one that runs now ends first, or finds the node revoked.
    await sql`
      select from region_shard where region = (select region from regional_node where id = ${node})
      order by shard for no key update`
    const revoked = await sql`
      update regional_node set revoked_at = now() where id = ${node} and revoked_at is null`
    const ended = await sql<{ shard: number; epoch: number }[]>`
      update region_shard set lease_expires_at = now(), devices_online = 0, evaluators_online = 0
      where node = ${node} and lease_expires_at > now() returning shard, epoch`
    const [row] = await sql<NodeViewRow[]>`select ${nodeViewColumns(sql)} from regional_node n where n.id = ${node}`
    if (row === undefined) throw new TributaryError('NOT_FOUND')
    sql.afterCommit(`registrar:${node}`, () => registrar.revoke({ kind: 'regional-node', id: node }))
    if (revoked.count === 1) {
      const shards = ended.toSorted((a, b) => a.shard - b.shard)
      const detail = { region: row.region, shards }
      audit.append(sql, { actor, action: 'regional-node.revoked', subject: `regional-node/${node}`, detail })
    }
    return nodeViewOf(row)
  }
