import type { Transaction } from '../database/transaction.ts'
import type { CallingNode } from './renew-leases.ts'

/**
 * Pins the caller's epochs where it came to a shard of a live attempt or an open evaluation that has not reported: what the
 * holder before had is void, devices send again. After the report a change of lease changes nothing.
 */
export const raiseEpochs = (sql: Transaction, { node, region }: CallingNode): Promise<unknown> =>
  Promise.all([
    sql`
      update attempt_shard s set epoch = l.epoch, state = 'open', selected = 0, accepted = 0, refused = 0
      from round_attempt a, region_shard l
      where a.state in ('open', 'collecting')
        and s.task = a.task and s.round = a.round and s.attempt = a.attempt
        and s.region = ${region} and s.state in ('open', 'collecting')
        and l.region = s.region and l.shard = s.shard and l.node = ${node} and l.lease_expires_at > now()
        and s.epoch < l.epoch`,
    sql`
      update evaluation_shard s set epoch = l.epoch
      from evaluation e, region_shard l
      where e.state = 'open' and s.evaluation = e.id and s.region = ${region} and s.state = 'open'
        and l.region = s.region and l.shard = s.shard and l.node = ${node} and l.lease_expires_at > now()
        and s.epoch < l.epoch`,
  ])
