import type { AttemptRef } from '@tributary/contracts/ids'
import type { NodeStatusRequest } from '@tributary/contracts/node-status'
import type { Context } from '../context.ts'
import { asJson, type Transaction } from '../database/transaction.ts'
import { moveAttempt } from '../rounds/move-attempt.ts'
import type { CallingNode } from './renew-leases.ts'

/** Writes down how far the caller's shards are, where that changed; the first shard that collects moves its attempt on. */
export const recordProgress = async (
  context: Pick<Context, 'audit'>,
  sql: Transaction,
  { node, region, epochs }: CallingNode,
  progress: NodeStatusRequest['progress'],
): Promise<void> => {
  const own = progress
    .filter(({ shard, epoch }) => epochs.get(shard) === epoch)
    .map(({ state, ...rest }) => ({ ...rest, state: state === 'selecting' ? 'open' : 'collecting' }))
  if (own.length === 0) return
  const begun = await sql<AttemptRef[]>`
    with moved as (
      update attempt_shard s set selected = p.selected, accepted = p.accepted, refused = p.refused,
        first_accepted_at = coalesce(s.first_accepted_at, case when p.accepted > 0 then now() end),
        state = case when s.state = 'open' then p.state else s.state end
      from jsonb_to_recordset(${sql.json(asJson(own))}) as p (task uuid, round integer, attempt integer, shard integer,
        epoch integer, state text, selected integer, accepted integer, refused integer)
      where s.task = p.task and s.round = p.round and s.attempt = p.attempt and s.region = ${region} and s.shard = p.shard
        and s.epoch = p.epoch and s.state in ('open', 'collecting')
        and (s.selected, s.accepted, s.refused, s.state)
          is distinct from (p.selected, p.accepted, p.refused, case when s.state = 'open' then p.state else s.state end)
      returning s.task, s.round, s.attempt, s.state
    )
    select distinct m.task, m.round, m.attempt from moved m
      join round_attempt a on a.task = m.task and a.round = m.round and a.attempt = m.attempt and a.state = 'open'
    where m.state = 'collecting'`
  for (const ref of begun) await moveAttempt(context, sql, ref, 'collect', { actor: `regional-node:${node}` })
}
