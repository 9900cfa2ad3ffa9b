import type { Cache } from './adapters/cache.ts'
import { type Clock, systemClock } from './adapters/clock.ts'
import type { FunctionInvoker } from './adapters/function-invoker.ts'
import { type Ids, uuidV7Ids } from './adapters/ids.ts'
import { LambdaInvoker } from './adapters/lambda-invoker.ts'
import type { ObjectStore } from './adapters/object-store.ts'
import { S3ObjectStore } from './adapters/s3-object-store.ts'
import { UpstashCache } from './adapters/upstash-cache.ts'
import { type Audit, createAudit } from './audit/audit.ts'
import type { CoreConfig } from './config.ts'
import { Database } from './database/database.ts'
import { createLog, type Log } from './log.ts'
import { emfMetrics, type Metrics } from './metrics/metrics.ts'
import { stateMetrics } from './metrics/state-metrics.ts'
import { createOutbox, type Outbox } from './outbox/outbox.ts'

/** What the handlers of a function stand on; one for the life of an instance. */
export type Context = {
  readonly database: Database
  readonly store: ObjectStore
  readonly cache: Cache
  readonly outbox: Outbox
  readonly audit: Audit
  readonly clock: Clock
  readonly ids: Ids
  readonly log: Log
  readonly metrics: Metrics
  /** Starts the merge of a closed attempt; for `sql.afterCommit`. */
  readonly startMerge: (attempt: { task: string; round: number; attempt: number }) => Promise<void>
  /** Starts work on a model version that does not fit into a request; for `sql.afterCommit`. */
  readonly startVersionJob: (job: string) => Promise<void>
  readonly wakeRelay: () => Promise<void>
}

/** Opens nothing yet: connections are made when they are first used. */
export const createContext = (
  config: CoreConfig,
  name: string,
  parts: { invoker?: FunctionInvoker; statementSeconds?: number } = {},
): Context => {
  const log = createLog(config.log.LOG_LEVEL, name)
  const metrics = emfMetrics(name)
  const invoker = parts.invoker ?? new LambdaInvoker()
  const wakeRelay = () => invoker.invoke(config.functions.RELAY_FUNCTION, {})
  const { statementSeconds } = parts
  return {
    database: new Database({
      url: config.database.DATABASE_URL,
      log,
      name,
      ...(statementSeconds === undefined ? {} : { statementSeconds }),
    }),
    store: new S3ObjectStore({
      bucket: config.objectStorage.BUCKET,
      pathStyle: config.objectStorage.OBJECT_STORAGE_PATH_STYLE,
    }),
    cache: new UpstashCache({
      url: config.cache.UPSTASH_REDIS_REST_URL,
      token: config.cache.UPSTASH_REDIS_REST_TOKEN,
      log,
    }),
    outbox: createOutbox({ ids: uuidV7Ids, clock: systemClock, wakeRelay }),
    audit: createAudit(systemClock, stateMetrics(metrics)),
    clock: systemClock,
    ids: uuidV7Ids,
    log,
    metrics,
    startMerge: attempt => invoker.invoke(config.functions.MERGE_FUNCTION, attempt),
    startVersionJob: job => invoker.invoke(config.functions.VERSION_JOBS_FUNCTION, { job }),
    wakeRelay,
  }
}
