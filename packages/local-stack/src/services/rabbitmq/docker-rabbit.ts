import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { spawnOwned } from '../../processes/owned-process.ts'
import { runCommand } from '../../processes/run-command.ts'
import { writePrivately } from '../credentials.ts'
import { findOnPath } from '../find-on-path.ts'
import type { ServiceContext } from '../service-context.ts'
import { rabbitAnswers } from './rabbit-ready.ts'
import type { RabbitService } from './rabbit-service.ts'

const image = 'rabbitmq:4-management'

/** A docker command alone is not enough: its daemon must answer. */
export async function dockerAnswers(context: ServiceContext): Promise<boolean> {
  if (!(await findOnPath('docker', context.environment.path))) return false
  const options = {
    ...dockerEnvironment(context),
    deadlineSeconds: 10,
    signal: context.signal,
    watchdog: context.watchdog,
  }
  return runCommand('docker', ['info', '--format', '{{.ServerVersion}}'], options).then(
    () => true,
    () => false,
  )
}

/** RabbitMQ in a container that ends with the stack; its data is in a named volume of this state folder. */
export async function startDockerRabbit(context: ServiceContext): Promise<RabbitService> {
  const { credentials, folders, ports } = context
  const id = createHash('sha256').update(folders.state).digest('hex').slice(0, 12)
  const variables = join(folders.state, 'rabbitmq-docker.env')
  await writePrivately(
    variables,
    `RABBITMQ_DEFAULT_USER=${credentials.amqpUser}\nRABBITMQ_DEFAULT_PASS=${credentials.amqpPassword}\n`,
  )
  context.report({
    kind: 'note',
    service: 'RabbitMQ',
    message: `docker runs ${image}; the first start pulls about 120 MB`,
  })
  const url = `amqp://${credentials.amqpUser}:${credentials.amqpPassword}@127.0.0.1:${ports.amqp}`
  const container = `tributary-rabbitmq-${id}`
  // One whose client was killed may still be there.
  const options = {
    ...dockerEnvironment(context),
    deadlineSeconds: 30,
    signal: context.signal,
    watchdog: context.watchdog,
  }
  await runCommand('docker', ['rm', '--force', container], options).catch(() => undefined)
  const owned = await spawnOwned({
    name: 'RabbitMQ',
    command: 'docker',
    args: [
      ...['run', '--rm', '--name', container, '--hostname', 'tributary'],
      ...['--env-file', variables, '--volume', `${container}:/var/lib/rabbitmq`],
      ...['--publish', `127.0.0.1:${ports.amqp}:5672`, '--publish', `127.0.0.1:${ports.amqpManagement}:15672`],
      image,
    ],
    ...dockerEnvironment(context),
    logFile: join(folders.logs, 'rabbitmq.log'),
    ready: { check: () => rabbitAnswers(url, ports.amqpManagement) },
    readyDeadlineSeconds: 300,
    graceSeconds: 15,
    watchdog: context.watchdog,
    signal: context.signal,
    onUnexpectedExit: (_, message) => context.report({ kind: 'ended', service: 'RabbitMQ', message }),
  })
  return {
    name: 'RabbitMQ',
    detail: `${image} in docker`,
    url,
    managementUrl: `http://127.0.0.1:${ports.amqpManagement}`,
    user: credentials.amqpUser,
    password: credentials.amqpPassword,
    processIds: () => (owned.pid === undefined ? [] : [owned.pid]),
    [Symbol.asyncDispose]: () => owned.stop(),
  }
}

function dockerEnvironment({ environment }: ServiceContext) {
  return { env: { PATH: environment.path, HOME: environment.home } }
}
