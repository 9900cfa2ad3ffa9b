import { lookup } from 'node:dns/promises'
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type OwnedProcess, spawnOwned } from '../../processes/owned-process.ts'
import { writePrivately } from '../credentials.ts'
import type { ServiceContext } from '../service-context.ts'
import type { RabbitInstallation } from './installation.ts'
import { rabbitAnswers } from './rabbit-ready.ts'
import type { RabbitService } from './rabbit-service.ts'

/** Starts epmd and RabbitMQ from an installation's own scripts, everything on loopback and in the state folder. */
export async function startInstalledRabbit(
  installation: RabbitInstallation,
  context: ServiceContext,
): Promise<RabbitService> {
  const { credentials, ports } = context
  await checkLocalhost()
  const folder = await prepareFolder(context)
  const env = brokerEnvironment(installation, folder, context)
  const url = `amqp://${credentials.amqpUser}:${credentials.amqpPassword}@127.0.0.1:${ports.amqp}`
  // Started here and not by Erlang, which would leave it behind as a daemon.
  const epmd = await spawnOwned({
    ...common('epmd', context),
    command: installation.epmd,
    args: ['-port', String(ports.epmd), '-address', '127.0.0.1'],
    env,
    ready: { port: ports.epmd },
    graceSeconds: 1,
  })
  let broker: OwnedProcess
  try {
    broker = await spawnOwned({
      ...common('RabbitMQ', context),
      command: join(installation.home, 'sbin/rabbitmq-server'),
      env,
      ready: { check: () => rabbitAnswers(url, ports.amqpManagement) },
      readyDeadlineSeconds: 90,
      // It has closed its stores within a quarter of a second and then idles for six; quorum queues survive any kill.
      graceSeconds: 3,
    })
  } catch (error) {
    await epmd.stop()
    throw error
  }
  return {
    name: 'RabbitMQ',
    detail: installation.label,
    url,
    managementUrl: `http://127.0.0.1:${ports.amqpManagement}`,
    user: credentials.amqpUser,
    password: credentials.amqpPassword,
    processIds: () => [broker.pid, epmd.pid].filter(pid => pid !== undefined),
    async [Symbol.asyncDispose]() {
      await broker.stop()
      await epmd.stop()
    },
  }
}

function common(name: string, context: ServiceContext) {
  return {
    name,
    logFile: join(context.folders.logs, `${name.toLowerCase()}.log`),
    cwd: '/',
    restart: 'on-failure' as const,
    watchdog: context.watchdog,
    signal: context.signal,
    onUnexpectedExit: (_: unknown, message: string) => context.report({ kind: 'ended', service: name, message }),
  }
}

async function prepareFolder({ credentials, folders, ports }: ServiceContext): Promise<string> {
  const folder = join(folders.state, 'rabbitmq')
  for (const path of [folder, join(folder, 'home'), join(folder, 'data'), join(folder, 'logs')]) {
    await mkdir(path, { recursive: true, mode: 0o700 })
  }
  // Erlang refuses a cookie that others may read.
  const cookie = join(folder, 'home', '.erlang.cookie')
  await rm(cookie, { force: true })
  await writeFile(cookie, credentials.erlangCookie, { mode: 0o400 })
  await chmod(cookie, 0o400)
  await writeFile(join(folder, 'enabled_plugins'), '[rabbitmq_management].\n')
  await writePrivately(
    join(folder, 'rabbitmq.conf'),
    `listeners.tcp.1 = 127.0.0.1:${ports.amqp}
management.tcp.ip = 127.0.0.1
management.tcp.port = ${ports.amqpManagement}
default_user = ${credentials.amqpUser}
default_pass = ${credentials.amqpPassword}
disk_free_limit.absolute = 50MB
vm_memory_high_watermark.absolute = 512MB
log.file.level = info
log.file.rotation.size = 8388608
log.file.rotation.count = 2
`,
  )
  return folder
}

function brokerEnvironment(
  installation: RabbitInstallation,
  folder: string,
  { ports }: ServiceContext,
): Record<string, string> {
  return {
    PATH: `${installation.erlangBin}:/usr/local/bin:/usr/bin:/bin`,
    HOME: join(folder, 'home'),
    LC_ALL: 'C.UTF-8',
    ...(installation.libraryPath === undefined ? {} : { LD_LIBRARY_PATH: installation.libraryPath }),
    ERL_EPMD_PORT: String(ports.epmd),
    ERL_EPMD_ADDRESS: '127.0.0.1',
    RABBITMQ_HOME: installation.home,
    RABBITMQ_SCRIPTS_DIR: join(installation.home, 'sbin'),
    RABBITMQ_PLUGINS_DIR: join(installation.home, 'plugins'),
    RABBITMQ_NODENAME: 'tributary@localhost',
    RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
    RABBITMQ_NODE_PORT: String(ports.amqp),
    RABBITMQ_DIST_PORT: String(ports.amqpDistribution),
    RABBITMQ_MNESIA_BASE: join(folder, 'data'),
    RABBITMQ_LOG_BASE: join(folder, 'logs'),
    RABBITMQ_PID_FILE: join(folder, 'rabbitmq.pid'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'enabled_plugins'),
    RABBITMQ_CONFIG_FILE: join(folder, 'rabbitmq.conf'),
    RABBITMQ_CONF_ENV_FILE: '/dev/null',
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS:
      '+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}',
  }
}

/** Without this name Erlang's distribution hangs, and the start with it. */
async function checkLocalhost(): Promise<void> {
  const advice = "add the line '127.0.0.1 localhost' to /etc/hosts"
  const found = await lookup('localhost', { all: true }).catch(error => {
    throw new Error(`the name localhost is not known on this machine, and RabbitMQ needs it; ${advice}`, {
      cause: error,
    })
  })
  if (!found.some(({ address }) => address === '127.0.0.1' || address === '::1')) {
    throw new Error(
      `the name localhost means ${found.map(({ address }) => address).join(', ')} on this machine; ${advice}`,
    )
  }
}
