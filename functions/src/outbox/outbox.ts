import { amqpNames } from '@tributary/contracts/amqp'
import { type RegionCommands, regionCommands } from '@tributary/contracts/commands'
import { type MessageData, type MessageType, makeMessage } from '@tributary/contracts/envelope'
import type { Clock } from '../adapters/clock.ts'
import type { Ids } from '../adapters/ids.ts'
import { asJson, type Transaction } from '../database/transaction.ts'

export type Outbox = {
  /**
   * Writes a command to a region into the outbox of this transaction; the relay is started after the commit.
   * @throws ZodError when the data does not fit the command: a defect of ours
   */
  appendCommand<Type extends MessageType<RegionCommands>>(
    sql: Transaction,
    region: string,
    type: Type,
    data: MessageData<RegionCommands, Type>,
  ): Promise<void>
}

/** CloudEvents source of everything that central says. */
const source = 'tributary/central'

export const createOutbox = (parts: { ids: Ids; clock: Clock; wakeRelay: () => Promise<void> }): Outbox => ({
  async appendCommand(sql, region, type, data) {
    const id = parts.ids.next()
    const body = makeMessage(regionCommands, type, data, { id, source, time: parts.clock.now() })
    await sql`
      insert into outbox (message_id, exchange, routing_key, body)
      values (${id}, ${amqpNames.commands}, ${amqpNames.regionKey(region)}, ${sql.json(asJson(body))})`
    sql.afterCommit('relay', parts.wakeRelay)
  },
})
