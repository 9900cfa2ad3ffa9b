import { join } from 'node:path'
import { spawnNodeEntry } from '../node-entry.ts'
import type { RunningService } from '../running-service.ts'
import type { ServiceContext } from '../service-context.ts'

export interface ObjectStorageService extends RunningService {
  /** Endpoint for `@aws-sdk/client-s3` with `forcePathStyle: true`. */
  readonly url: string
  readonly buckets: readonly string[]
}

/** Starts the S3 endpoint over files of the state folder; the console's origins may use presigned URLs. */
export async function startObjectStorage(
  buckets: readonly string[],
  context: ServiceContext,
): Promise<ObjectStorageService> {
  const { credentials, folders, ports } = context
  const origins = ['127.0.0.1', 'localhost'].map(host => `http://${host}:${ports.console}`)
  const owned = await spawnNodeEntry(
    {
      name: 'object storage',
      entry: new URL('./object-storage.main.ts', import.meta.url),
      env: {
        OBJECT_STORAGE_PORT: String(ports.objectStorage),
        OBJECT_STORAGE_FOLDER: join(folders.state, 'objects'),
        OBJECT_STORAGE_ACCESS_KEY_ID: credentials.awsAccessKeyId,
        OBJECT_STORAGE_SECRET_ACCESS_KEY: credentials.awsSecretAccessKey,
        OBJECT_STORAGE_BUCKETS: buckets.join(','),
        OBJECT_STORAGE_CORS_ORIGINS: origins.join(','),
      },
      ready: { line: /^listening$/ },
      logName: 'object-storage',
    },
    context,
  )
  return {
    name: 'object storage',
    detail: 'S3 over files',
    url: `http://127.0.0.1:${ports.objectStorage}`,
    buckets,
    processIds: () => (owned.pid === undefined ? [] : [owned.pid]),
    [Symbol.asyncDispose]: () => owned.stop(),
  }
}
