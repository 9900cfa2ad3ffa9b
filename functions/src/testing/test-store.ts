import { startObjectStorage } from '@tributary/local-stack/services/object-storage/object-storage'
import { testContext } from '@tributary/local-stack/services/testing'
import type { ObjectStore } from '../adapters/object-store.ts'
import { S3ObjectStore } from '../adapters/s3-object-store.ts'

export type TestStore = AsyncDisposable & { readonly store: ObjectStore }

/** A real S3 endpoint of the suite's own, through the adapter that is deployed. */
export const startTestStore = async (): Promise<TestStore> => {
  await using stack = new AsyncDisposableStack()
  const context = stack.use(await testContext())
  const service = stack.use(await startObjectStorage(['test'], context))
  // The SDK reads these itself, here as in the cloud.
  Object.assign(process.env, {
    AWS_REGION: 'local',
    AWS_ENDPOINT_URL_S3: service.url,
    AWS_ACCESS_KEY_ID: context.credentials.awsAccessKeyId,
    AWS_SECRET_ACCESS_KEY: context.credentials.awsSecretAccessKey,
  })
  const store = new S3ObjectStore({ bucket: 'test', pathStyle: true })
  const owned = stack.move()
  return { store, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}
