import type { ServiceContext } from '../service-context.ts'
import { dockerAnswers, startDockerRabbit } from './docker-rabbit.ts'
import { useExternalRabbit } from './external-rabbit.ts'
import { debianInstallation, systemInstallation } from './installation.ts'
import { startInstalledRabbit } from './installed-rabbit.ts'
import { NoBrokerError } from './no-broker-error.ts'
import type { RabbitService } from './rabbit-service.ts'

/**
 * A real RabbitMQ: the one whose address is in the environment, else one that is installed here, else Debian's packages
 * unpacked without root, else docker.
 *
 * @throws NoBrokerError when there is no way to run one, with every remedy.
 */
export async function startRabbit(context: ServiceContext): Promise<RabbitService> {
  if (context.environment.amqpUrl) return useExternalRabbit(context.environment.amqpUrl, context)
  const attempts: string[] = []
  const found =
    (await systemInstallation(context)) ?? (await debianInstallation(context).catch(note(attempts, context)))
  if (found) return startInstalledRabbit(found, context)
  if (await dockerAnswers(context)) return startDockerRabbit(context)
  throw new NoBrokerError(process.platform, attempts)
}

function note(attempts: string[], { signal }: ServiceContext) {
  return (error: unknown): undefined => {
    signal.throwIfAborted()
    attempts.push(`Debian's packages: ${error instanceof Error ? error.message : String(error)}`)
  }
}
