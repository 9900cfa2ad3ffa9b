import { readConfig } from '../config.ts'
import { invokedFunction } from '../invocation/invoked-function.ts'
import { BrokerConnection } from './broker-connection.ts'
import { relayOutbox } from './relay-outbox.ts'

export const handler = invokedFunction(
  'relay',
  ({ database, log }) => {
    const broker = new BrokerConnection({ url: readConfig(['broker']).broker.AMQP_URL, log })
    return async (_, { signal }) => ({ sent: await relayOutbox({ database, broker, log }, signal) })
  },
  { statementSeconds: 25 },
)
