import assert from 'node:assert/strict'
import { createHash, randomUUID } from 'node:crypto'
import { after, before } from 'node:test'
import type { CreateVersion, Uploads } from '@tributary/contracts/models'
import type { ObjectStore } from '../adapters/object-store.ts'
import { versionJobHandler } from '../models/jobs/version-job.ts'
import { modelsHandlers } from '../models/models-handlers.ts'
import { exampleBase, exampleManifest, utf8 } from './example-model.ts'
import { testApi, testParts, tokens } from './test-api.ts'
import { startTestDatabase, type TestDatabase } from './test-database.ts'
import { startTestStore, type TestStore } from './test-store.ts'

export type BundleBytes = { manifest?: Uint8Array; weights: Uint8Array; graph?: Uint8Array }
type Declared = { sha256: string; bytes: number; parts?: string[] }

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** A file as `createVersion` wants it declared; above one part with the parts. */
export const declare = (bytes: Uint8Array, partBytes = 64 * 1024 ** 2): Declared => {
  const parts = Array.from({ length: Math.ceil(bytes.length / partBytes) }, (_, index) =>
    sha256(bytes.subarray(index * partBytes, (index + 1) * partBytes)),
  )
  return { sha256: sha256(bytes), bytes: bytes.length, ...(parts.length > 1 ? { parts } : {}) }
}

/** Sends bytes to a presigned address with its headers. */
export const put = (upload: { url: string; headers: Record<string, string> }, bytes: Uint8Array) => {
  const { 'content-length': _, ...headers } = upload.headers
  return fetch(upload.url, { method: 'PUT', body: new Uint8Array(bytes), headers })
}

/** The registry's API on a database and an object store of a test file's own. Jobs are noted, and run by the test. */
export const testRegistry = () => {
  const stack = new AsyncDisposableStack()
  const jobs: string[] = []
  const parts: { db?: TestDatabase; store?: TestStore; api?: ReturnType<typeof testApi> } = {}
  before(async () => {
    parts.db = stack.use(await startTestDatabase())
    parts.store = stack.use(await startTestStore())
    parts.api = testApi('models', modelsHandlers(registry.context), { database: parts.db.database })
  })
  after(() => stack.disposeAsync())
  const started = <Part>(part: Part | undefined): Part => {
    if (part === undefined) throw new Error('the registry is there inside tests only')
    return part
  }
  const token = tokens.operator
  const registry = {
    jobs,
    get db(): TestDatabase {
      return started(parts.db)
    },
    get store(): ObjectStore {
      return started(parts.store).store
    },
    get context() {
      const startVersionJob = async (job: string) => void jobs.push(job)
      return { ...testParts(registry.db.database), store: registry.store, startVersionJob }
    },
    api: (method: string, path: string, options: Parameters<ReturnType<typeof testApi>>[2] = {}) =>
      started(parts.api)(method, path, { token, ...(method === 'GET' ? {} : { key: randomUUID() }), ...options }),
    async createModel(name: string): Promise<string> {
      const created = await registry.api('POST', '/v1/models', { body: { name } })
      assert.equal(created.status, 201, JSON.stringify(created.body))
      return created.body.id
    },
    /** Declares a version without sending anything. */
    async declare(model: string, bundle: BundleBytes, more: Partial<CreateVersion> = {}) {
      const files = Object.fromEntries(Object.entries(bundle).map(([file, bytes]) => [file, declare(bytes)]))
      const created = await registry.api('POST', `/v1/models/${model}/versions`, { body: { ...files, ...more } })
      assert.equal(created.status, 201, JSON.stringify(created.body))
      return created.body as { version: string; uploads: Uploads }
    },
    async send(uploads: Uploads, bundle: BundleBytes): Promise<void> {
      for (const file of ['manifest', 'weights', 'graph'] as const) {
        const [upload, bytes] = [uploads[file], bundle[file]]
        if (upload !== undefined && bytes !== undefined) await accepted(put(upload, bytes))
      }
      for (const part of uploads.weightsParts ?? []) {
        await accepted(put(part, bundle.weights.subarray(part.start, part.end)))
      }
    },
    async upload(model: string, bundle: BundleBytes, more: Partial<CreateVersion> = {}): Promise<string> {
      const { version, uploads } = await registry.declare(model, bundle, more)
      await registry.send(uploads, bundle)
      return version
    },
    finalise: (model: string, version: string) =>
      registry.api('POST', `/v1/models/${model}/versions/${version}/finalise`),
    /** A ready version with these weights. */
    async ready(model: string, weights = exampleBase(), manifest: unknown = exampleManifest): Promise<string> {
      const version = await registry.upload(model, { manifest: utf8(JSON.stringify(manifest)), weights })
      const finalised = await registry.finalise(model, version)
      assert.equal(finalised.body.state, 'ready', JSON.stringify(finalised.body))
      return version
    },
    runJob: (job: string) =>
      versionJobHandler(registry.context)(
        { job },
        { requestId: 'test', signal: AbortSignal.timeout(60_000), remainingMillis: () => 60_000 },
      ),
    /** Runs all jobs that were started since. */
    async runJobs(): Promise<unknown[]> {
      const outcomes = []
      for (const job of jobs.splice(0)) outcomes.push(await registry.runJob(job))
      return outcomes
    },
  }
  return registry
}

const accepted = async (answer: Promise<Response>): Promise<void> => {
  const { status } = await answer
  assert.equal(status, 200, await (await answer).text())
}
