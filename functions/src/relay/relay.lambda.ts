import { readConfig } from '../config.ts'
import { invokedFunction } from '../invocation/invoked-function.ts'
import { beat } from '../metrics/heartbeat.ts'
import { outboxLag } from '../outbox/outbox-lag.ts'
import { BrokerConnection } from './broker-connection.ts'
import { relayOutbox } from './relay-outbox.ts'

export const handler = invokedFunction(
  'relay',
  ({ database, log, metrics }) => {
    const broker = new BrokerConnection({ url: readConfig(['broker']).broker.AMQP_URL, log })
    return async (_, { signal }) => {
      metrics.add({ OutboxLag: await outboxLag(database) })
      const sent = await relayOutbox({ database, broker, log }, signal)
      metrics.add({ MessagesSent: sent })
      await beat(database, 'relay')
      return { sent }
    }
  },
  { statementSeconds: 25 },
)
