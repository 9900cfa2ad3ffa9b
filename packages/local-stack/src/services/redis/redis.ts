import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { spawnOwned } from '../../processes/owned-process.ts'
import { portAnswers } from '../../processes/ready.ts'
import { writePrivately } from '../credentials.ts'
import { type DebianRecipe, hasDebianPackages, unpackDebianPackages, unpackedBefore } from '../debian-packages.ts'
import { findOnPath } from '../find-on-path.ts'
import { startMemoryRedis } from '../memory-redis/memory-redis.ts'
import type { ServiceContext } from '../service-context.ts'
import type { RedisService } from './redis-service.ts'

const recipe: DebianRecipe = {
  service: 'Redis',
  name: 'redis-1',
  install: ['redis-server'],
  keep: /^(redis-.*|lua-.*|libatomic1|libjemalloc2|liblzf1|liblua.*|libssl\d.*|libstdc\+\+6|libgcc-s1|libsystemd0|libcap2|libgcrypt20|libgpg-error0|liblz4-1|liblzma5|libzstd1)(t64)?$/,
}

interface RedisBinary {
  readonly command: string
  readonly libraryPath: string | undefined
  readonly label: string
}

/** Redis on loopback without persistence: it only caches. Where no redis-server can be had, a stand-in of our own. */
export async function startRedis(context: ServiceContext): Promise<RedisService> {
  if (context.environment.redisUrl) return useExternalRedis(context.environment.redisUrl)
  const found = await findRedis(context).catch(error => {
    context.signal.throwIfAborted()
    context.report({ kind: 'note', service: 'Redis', message: error instanceof Error ? error.message : String(error) })
    return undefined
  })
  return found ? startRedisServer(found, context) : startMemoryRedis(context)
}

async function findRedis(context: ServiceContext): Promise<RedisBinary | undefined> {
  const path = `${context.environment.path}:/opt/homebrew/bin:/usr/local/bin:/home/linuxbrew/.linuxbrew/bin`
  const installed = await findOnPath('redis-server', path)
  if (installed) return { command: installed, libraryPath: undefined, label: 'redis-server of this machine' }
  const before = await unpackedBefore(recipe, context)
  if (!before && !(await hasDebianPackages(context))) return undefined
  const root = before ?? (await unpackDebianPackages(recipe, context))
  const triplet = (await readdir(join(root, 'usr/lib'))).find(name => name.includes('-linux-gnu'))
  return {
    command: join(root, 'usr/bin/redis-server'),
    libraryPath: triplet && join(root, 'usr/lib', triplet),
    label: "Redis from Debian's packages",
  }
}

async function startRedisServer(binary: RedisBinary, context: ServiceContext): Promise<RedisService> {
  const { credentials, folders, ports } = context
  const configuration = join(folders.state, 'redis.conf')
  await writePrivately(
    configuration,
    `bind 127.0.0.1
port ${ports.redis}
requirepass ${credentials.redisPassword}
save ""
appendonly no
maxmemory 128mb
maxmemory-policy allkeys-lru
daemonize no
dir ${folders.state}
`,
  )
  const url = `redis://:${credentials.redisPassword}@127.0.0.1:${ports.redis}`
  const owned = await spawnOwned({
    name: 'Redis',
    command: binary.command,
    args: [configuration],
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', ...(binary.libraryPath ? { LD_LIBRARY_PATH: binary.libraryPath } : {}) },
    cwd: '/',
    logFile: join(folders.logs, 'redis.log'),
    ready: { check: async () => (await portAnswers(ports.redis)) && redisAnswers(url) },
    restart: 'on-failure',
    watchdog: context.watchdog,
    signal: context.signal,
    onUnexpectedExit: (_, message) => context.report({ kind: 'ended', service: 'Redis', message }),
  })
  return {
    name: 'Redis',
    detail: binary.label,
    url,
    processIds: () => (owned.pid === undefined ? [] : [owned.pid]),
    [Symbol.asyncDispose]: () => owned.stop(),
  }
}

async function useExternalRedis(url: string): Promise<RedisService> {
  const { host } = new URL(url)
  await redisAnswers(url).catch(error => {
    throw new Error(`Redis at ${host} (TRIBUTARY_REDIS_URL) does not answer: ${error.message}`, { cause: error })
  })
  return { name: 'Redis', detail: `Redis at ${host}`, url, processIds: () => [], async [Symbol.asyncDispose]() {} }
}

async function redisAnswers(url: string): Promise<boolean> {
  const redis = new Redis(url, {
    lazyConnect: true,
    retryStrategy: () => null,
    connectTimeout: 3000,
    maxRetriesPerRequest: 0,
  })
  redis.on('error', () => undefined)
  try {
    await redis.connect()
    return (await redis.ping()) === 'PONG'
  } finally {
    redis.disconnect()
  }
}
