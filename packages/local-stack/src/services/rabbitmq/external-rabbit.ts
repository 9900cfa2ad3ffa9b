import type { ServiceContext } from '../service-context.ts'
import { rabbitAnswers } from './rabbit-ready.ts'
import type { RabbitService } from './rabbitmq.ts'

/** @throws Error when the broker named in the environment does not answer */
export async function useExternalRabbit(url: string, { environment }: ServiceContext): Promise<RabbitService> {
  const { hostname, port, username, password } = new URL(url)
  await rabbitAnswers(url).catch(error => {
    throw new Error(`RabbitMQ at ${hostname}:${port || 5672} (TRIBUTARY_AMQP_URL) does not answer: ${error.message}`, {
      cause: error,
    })
  })
  return {
    name: 'RabbitMQ',
    detail: `RabbitMQ at ${hostname}:${port || 5672}`,
    url,
    managementUrl: environment.amqpManagementUrl,
    user: decodeURIComponent(username),
    password: decodeURIComponent(password),
    processIds: () => [],
    async [Symbol.asyncDispose]() {},
  }
}
