import { chown, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import postgres from 'postgres'
import { spawnOwned } from '../processes/owned-process.ts'
import { processAlive } from '../processes/process-group.ts'
import { runCommand } from '../processes/run-command.ts'
import { postgresBinaries } from './postgres-binaries.ts'
import type { RunningService } from './running-service.ts'
import type { ServiceContext } from './service-context.ts'

export interface PostgresService extends RunningService {
  /** As the role `tributary`, which owns the database `tributary` and is no superuser. */
  readonly url: string
  /** As the superuser, for backups and tests. */
  readonly adminUrl: string
}

const database = 'tributary'
/** The uid that owns Postgres's files when the stack runs as root: Postgres refuses to run as root itself. */
export const unprivilegedUid = 65_534

const settings = (port: number) => `listen_addresses = '127.0.0.1'
port = ${port}
unix_socket_directories = ''
max_connections = 120
shared_buffers = 64MB
dynamic_shared_memory_type = posix
wal_level = minimal
max_wal_senders = 0
max_wal_size = 512MB
checkpoint_timeout = 15min
jit = off
max_parallel_workers = 2
autovacuum_naptime = 30s
password_encryption = scram-sha-256
log_timezone = 'UTC'
timezone = 'UTC'
log_line_prefix = '%m [%p] '
`

/** Starts the embedded Postgres on loopback with password authentication; creates cluster, role and database once. */
export async function startPostgres(context: ServiceContext): Promise<PostgresService> {
  const { credentials, environment, folders, ports, signal, watchdog } = context
  const owner = environment.uid === 0 ? { uid: unprivilegedUid, gid: unprivilegedUid } : {}
  const data = join(folders.state, 'postgres')
  const binaries = await postgresBinaries(folders.cache, environment.uid)
  const env = { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC', HOME: data }
  const run = { env, cwd: '/', deadlineSeconds: 60, signal, watchdog, ...owner }
  await initialise(data, binaries.initdb, credentials.postgresSuperuserPassword, run)
  await writeFile(join(data, 'tributary.conf'), settings(ports.postgres))
  if (owner.uid !== undefined) await chown(join(data, 'tributary.conf'), owner.uid, owner.gid)
  await previousServerEnded(data)
  const adminUrl = `postgres://postgres:${credentials.postgresSuperuserPassword}@127.0.0.1:${ports.postgres}`
  const owned = await spawnOwned({
    name: 'Postgres',
    command: binaries.postgres,
    args: ['-D', data, '-c', `config_file=${join(data, 'tributary.conf')}`],
    logFile: join(folders.logs, 'postgres.log'),
    ready: { check: () => answers(`${adminUrl}/postgres`) },
    // Fast shutdown; SIGTERM would wait for every client to leave.
    stopSignal: 'SIGINT',
    restart: 'on-failure',
    onUnexpectedExit: (_, message) => context.report({ kind: 'ended', service: 'Postgres', message }),
    ...run,
  })
  try {
    await createDatabase(`${adminUrl}/postgres`, credentials.postgresPassword)
  } catch (error) {
    await owned.stop()
    throw error
  }
  return {
    name: 'Postgres',
    detail: 'embedded Postgres 17',
    url: `postgres://${database}:${credentials.postgresPassword}@127.0.0.1:${ports.postgres}/${database}`,
    adminUrl: `${adminUrl}/${database}`,
    processIds: () => (owned.pid === undefined ? [] : [owned.pid]),
    [Symbol.asyncDispose]: () => owned.stop(),
  }
}

type Run = Omit<Parameters<typeof runCommand>[2], 'input'>

async function initialise(data: string, initdb: string, password: string, run: Run): Promise<void> {
  const done = join(data, 'PG_VERSION')
  const complete = join(data, 'tributary.initialised')
  if ((await exists(done)) && (await exists(complete))) return
  // A start that was cut during initdb leaves a folder that is of no use.
  await rm(data, { recursive: true, force: true })
  await mkdir(data, { mode: 0o700 })
  if (run.uid !== undefined && run.gid !== undefined) await chown(data, run.uid, run.gid)
  const passwordFile = `${data}.password`
  await rm(passwordFile, { force: true })
  await writeFile(passwordFile, password, { mode: 0o600 })
  if (run.uid !== undefined && run.gid !== undefined) await chown(passwordFile, run.uid, run.gid)
  try {
    await runCommand(
      initdb,
      [
        `--pgdata=${data}`,
        '--username=postgres',
        '--auth=scram-sha-256',
        `--pwfile=${passwordFile}`,
        '--encoding=UTF8',
        '--locale=C',
        '--no-instructions',
        '--no-sync',
      ],
      run,
    )
  } finally {
    await rm(passwordFile, { force: true })
  }
  await writeFile(complete, '')
}

/** A killed supervisor's Postgres may still be writing; two servers on one data folder would destroy it. */
async function previousServerEnded(data: string): Promise<void> {
  const file = join(data, 'postmaster.pid')
  const deadline = Date.now() + 15_000
  for (;;) {
    const pid = Number((await readFile(file, 'utf8').catch(() => '')).split('\n')[0])
    if (!pid || !processAlive(pid) || !(await isPostgresOf(pid, data))) {
      await rm(file, { force: true })
      return
    }
    if (Date.now() > deadline) throw new Error(`another Postgres (process ${pid}) still uses ${data}; end it first`)
    await delay(100)
  }
}

async function isPostgresOf(pid: number, data: string): Promise<boolean> {
  const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => undefined)
  return commandLine === undefined ? true : commandLine.includes(data)
}

// Without the query for array types that begins every connection: postgres.js 3.4 awaits it nowhere, so that a server that ends
// meanwhile would end this process as well, with an unhandled rejection.
function connect(url: string, seconds: number): postgres.Sql {
  return postgres(url, { max: 1, connect_timeout: seconds, fetch_types: false, onnotice: () => undefined })
}

async function answers(url: string): Promise<boolean> {
  const sql = connect(url, 2)
  try {
    await sql`select 1`
    return true
  } finally {
    await sql.end({ timeout: 1 })
  }
}

async function createDatabase(url: string, password: string): Promise<void> {
  await using sql = Object.assign(connect(url, 5), {
    async [Symbol.asyncDispose](this: postgres.Sql) {
      await this.end({ timeout: 2 })
    },
  })
  const [role] = await sql`select 1 from pg_roles where rolname = ${database}`
  // The password is hexadecimal (credentials.ts), so it needs no quoting.
  if (!role) await sql.unsafe(`create role ${database} login password '${password}'`)
  const [found] = await sql`select 1 from pg_database where datname = ${database}`
  if (!found) await sql.unsafe(`create database ${database} owner ${database}`)
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
