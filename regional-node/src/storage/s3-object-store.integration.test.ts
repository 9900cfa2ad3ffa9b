import { startObjectStorage } from '@tributary/local-stack/services/object-storage/object-storage'
import { testContext } from '@tributary/local-stack/services/testing'
import { objectStoreCases } from './object-store.cases.ts'
import { S3ObjectStore } from './s3-object-store.ts'

objectStoreCases('S3ObjectStore', async () => {
  await using opening = new AsyncDisposableStack()
  const context = opening.use(await testContext())
  const storage = opening.use(await startObjectStorage(['tributary'], context))
  Object.assign(process.env, {
    AWS_REGION: 'local',
    AWS_ACCESS_KEY_ID: context.credentials.awsAccessKeyId,
    AWS_SECRET_ACCESS_KEY: context.credentials.awsSecretAccessKey,
    AWS_ENDPOINT_URL_S3: storage.url,
  })
  const store = opening.use(new S3ObjectStore('tributary', { pathStyle: true }))
  const opened = opening.move()
  return { store, [Symbol.asyncDispose]: () => opened.disposeAsync() }
})
