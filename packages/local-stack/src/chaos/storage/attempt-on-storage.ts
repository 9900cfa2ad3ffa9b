import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client } from '@aws-sdk/client-s3'
import type { ShardSummed } from '@tributary/contracts/events'
import { VerdictCode } from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import type { ObjectRef } from '@tributary/contracts/ids'
import type { RoundDescriptor } from '@tributary/contracts/round'
import { type StorageFault, startFaultyStorage } from '@tributary/functions/testing/faulty-storage'
import { encodeUpdate } from '@tributary/learning/update/update-body'
import { S3ObjectStore } from '@tributary/regional-node/storage/s3-object-store'
import { sampleDescriptor, sha256Of } from '@tributary/regional-node/testing/sample-round'
import { TestShard } from '@tributary/regional-node/testing/test-shard'
import { Manifest } from '@tributary/tensors/manifest'
import { encodeSafetensors } from '@tributary/tensors/safetensors/file'
import { bytesOf } from '@tributary/tensors/view'
import { startObjectStorage } from '../../services/object-storage/object-storage.ts'
import { testContext } from '../../services/testing.ts'

const bucket = 'tributary'
/** A connection on which nothing moves is given up after so long. */
const stallMillis = 500
/** How far the node's clock goes with each turn: devices have until their deadline, the rest may take as long as it will. */
const turnMillis = 5
const clockTurn = { collecting: 25, storing: 500 } as const
const attemptSeconds = 150

/** A model of one tensor, and updates of its devices. */
export type StoredModel = {
  readonly objects: Pick<RoundDescriptor, 'manifest' | 'graph'> & { readonly base: ObjectRef }
  readonly updates: readonly Uint8Array[]
}
/** What came of an attempt. */
export type AttemptOutcome = {
  readonly requests: number
  readonly kinds: readonly string[]
  readonly event: ShardSummed | undefined
  readonly failures: readonly { readonly code: string; readonly detail: string }[]
  /** sha256 of what is stored of the attempt, by the end of its key. */
  readonly stored: Readonly<Record<string, string>>
}
export type AttemptOptions = {
  /** Which fault a request meets: the how-many-th it is, from 0, and its kind. */
  readonly faultOf: (request: number, kind: string) => StorageFault | undefined
  /** The attempt is abandoned as soon as this holds. @default never: it goes on until it is summed */
  readonly isGivenUp?: (shard: TestShard) => boolean
}

/** Object storage with so many clients, each with faults of its own. */
export const openStorage = async (clients: number) => {
  await using opening = new AsyncDisposableStack()
  const context = opening.use(await testContext())
  const storage = opening.use(await startObjectStorage([bucket], context))
  const { awsAccessKeyId: accessKeyId, awsSecretAccessKey: secretAccessKey } = context.credentials
  Object.assign(process.env, {
    AWS_REGION: 'local',
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
  })
  const credentials = { accessKeyId, secretAccessKey }
  const direct = new S3Client({ region: 'local', endpoint: storage.url, forcePathStyle: true, credentials })
  opening.defer(() => direct.destroy())
  const lanes: { proxy: Awaited<ReturnType<typeof startFaultyStorage>>; store: S3ObjectStore }[] = []
  for (let lane = 0; lane < clients; lane += 1) {
    const proxy = opening.use(await startFaultyStorage(Number(new URL(storage.url).port)))
    const store = opening.use(new S3ObjectStore(bucket, { pathStyle: true, stallMillis }))
    // The SDK reads the address with its first request.
    process.env.AWS_ENDPOINT_URL_S3 = proxy.url
    await store.read('nothing', AbortSignal.timeout(10_000)).catch(() => undefined)
    lanes.push({ proxy, store })
  }
  const owned = opening.move()
  const put = async (objectKey: string, bytes: Uint8Array): Promise<ObjectRef> => {
    await direct.send(new PutObjectCommand({ Bucket: bucket, Key: objectKey, Body: bytes }))
    return { objectKey, sha256: sha256Of(bytes), bytes: bytes.byteLength }
  }

  return {
    /** Stores a model of so many values. */
    model: async (values: number, devices: number): Promise<StoredModel> => {
      const manifest = Manifest.parse({
        format: 'tributary.manifest/1',
        tensors: [{ name: 'w', dtype: 'F32', shape: [values], policy: 'average' }],
        inputs: [],
        outputs: [],
        loss: 'softmax-cross-entropy',
        labelKind: 'class-index',
      })
      const floats = (of: number): Uint8Array =>
        bytesOf(Float32Array.from({ length: values }, (_, i) => ((i % 1000) - of) / 1024))
      const base = encodeSafetensors([{ name: 'w', dtype: 'F32', shape: [values], bytes: floats(0) }])
      const folder = `models/${values}`
      return {
        objects: {
          manifest: await put(`${folder}/manifest.json`, Buffer.from(JSON.stringify(manifest))),
          base: await put(`${folder}/base.safetensors`, base),
          graph: await put(`${folder}/graph.onnx`, Buffer.from('a graph, which the node only passes on')),
        },
        updates: Array.from({ length: devices }, (_, index) =>
          encodeUpdate(manifest, new Map([['w', floats(index + 1)]])),
        ),
      }
    },

    /** Plays a shard's part of an attempt from the descriptor to its end, by one of the clients. */
    attempt: async (
      lane: number,
      model: StoredModel,
      { faultOf, isGivenUp }: AttemptOptions,
    ): Promise<AttemptOutcome> => {
      const { proxy, store } = lanes[lane] as (typeof lanes)[number]
      const kinds: string[] = []
      const folder = await mkdtemp(join(tmpdir(), 'tributary-storage-'))
      try {
        await using shard = await TestShard.open({
          home: { folder, logKey: randomBytes(32).toString('base64'), store },
        })
        await shard.takeLease(1)
        const count = model.updates.length
        const sample = sampleDescriptor(shard.clock.now(), { goal: count, select: count })
        const { manifest, graph, base } = model.objects
        const descriptor = { ...sample, manifest, graph, base: { ...sample.base, ...base } }
        const numbers = model.updates.map((_, index) => index + 1)
        for (const number of numbers) shard.online(number)
        proxy.begin((request, asked) => {
          const kind = kindOf(`${asked.method}`, `${asked.url}`)
          kinds.push(kind)
          return faultOf(request, kind)
        })
        await shard.attempts.reconcile(descriptor)
        await turnUntil(
          shard,
          () => shard.attempts.find(descriptor, 0)?.isCollecting || isGivenUp?.(shard),
          clockTurn.collecting,
        )
        if (isGivenUp?.(shard) !== true) {
          for (const number of numbers) {
            const body = model.updates[number - 1] as Uint8Array
            // A copy: the node frees what it was given once it is on the disk.
            const sent = [Uint8Array.from(body)]
            const { code, errorCode } = await shard.push(descriptor, number, body, { examples: BigInt(number) }, sent)
            if (code !== VerdictCode.ACCEPTED) throw new Error(`update ${number}: verdict ${code} ${errorCode}`)
          }
        }
        await turnUntil(shard, () => shard.events.length > 0 || isGivenUp?.(shard), clockTurn.storing)
        // As central does with every attempt in the end: whatever is under way is given up.
        await shard.attempts.settle(descriptor, shard.events.length > 0 ? 'committed' : 'abandoned')
        const left = await readdir(shard.folders.path(0, 1, 'attempts', ''))
        if (left.length > 0) throw new Error(`of a settled attempt the node keeps ${left}`)
        const requests = proxy.begin(() => undefined)
        const prefix = `sums/${descriptor.task}/`
        const { Contents = [] } = await direct.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix }))
        const stored = Object.fromEntries(
          await Promise.all(
            Contents.map(async ({ Key = '' }) => {
              const { Body } = await direct.send(new GetObjectCommand({ Bucket: bucket, Key }))
              const bytes = (await Body?.transformToByteArray()) ?? new Uint8Array()
              return [Key.slice(prefix.length), sha256Of(bytes)] as const
            }),
          ),
        )
        return { requests, kinds, event: shard.events.at(-1), failures: shard.failures, stored }
      } finally {
        await rm(folder, { recursive: true })
      }
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

/** `PUT sums .safetensors`: the call, and what kind of object it is about. */
const kindOf = (method: string, url: string): string => {
  const { pathname, searchParams } = new URL(url, 'http://storage')
  const [, , first = '', ...rest] = pathname.split('/')
  const step = ['uploads', 'partNumber', 'uploadId'].find(name => searchParams.has(name)) ?? ''
  const name = first === 'sums' ? (/\.[a-z.]+$/.exec(rest.at(-1) ?? '')?.[0] ?? '') : (rest.at(-1) ?? '')
  return [method, first, name, step, searchParams.get('partNumber') ?? ''].filter(word => word !== '').join(' ')
}

/** Lets the node's time pass, lease renewed, until something is so. */
const turnUntil = async (shard: TestShard, isSo: () => boolean | undefined, turn: number): Promise<void> => {
  const end = performance.now() + attemptSeconds * 1000
  while (isSo() !== true) {
    if (performance.now() > end) throw new Error(`not within ${attemptSeconds} s: ${isSo}`)
    shard.clock.advance(turn)
    shard.lease()
    await delay(turnMillis)
  }
}
