import type { ServiceContext } from '../service-context.ts'
import { rabbitAnswers } from './rabbit-ready.ts'
import type { RabbitService } from './rabbit-service.ts'

/** @throws Error when the broker named in the environment does not answer */
export async function useExternalRabbit(url: string, { environment }: ServiceContext): Promise<RabbitService> {
  const { hostname, port, username, password } = new URL(url)
  const silent = (cause?: Error) =>
    new Error(
      `RabbitMQ at ${hostname}:${port || 5672} (TRIBUTARY_AMQP_URL) does not answer${cause ? `: ${cause.message}` : ''}`,
      { cause },
    )
  const answered = await rabbitAnswers(url).catch(error => {
    throw silent(error)
  })
  if (!answered) throw silent()
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
