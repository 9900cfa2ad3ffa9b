/**
 * How fast a merge is, in MB/s of shard sums, and how much memory its process takes, beside plain reading, hashing and writing of the
 * same bytes through the same store in the same run:
 *
 *   node bench/merge.ts [MB of the model, default 1000] [shards, default 2] [optimiser, default none] [store: file | s3]
 *
 * `file` keeps objects as files: what is measured is the merge itself. `s3` is the local stack's endpoint, a process on the same cores
 * that hashes and syncs everything once more. The merge is a process of its own, so that its largest resident size (VmHWM) is of the
 * merge alone. Inputs are zeros, with `file` sparse, so they take no disk; they hash, travel and add up like any other bytes.
 * Exit code 1 above 512 MB, and below 300 MB/s with `file` and an optimiser without state. With `s3` the endpoint takes most of the time; a
 * state (float64, one or two numbers for each weight) is hashed and written beside the weights, two to four times as long as they are.
 */
import { spawn } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, open, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { ServerOptimizer } from '@tributary/contracts/server-optimizer'
import type { ObjectStore } from '@tributary/functions/adapters/object-store'
import { S3ObjectStore } from '@tributary/functions/adapters/s3-object-store'
import { mergeModel } from '@tributary/functions/merge/merge-model'
import { shardSumLayout } from '@tributary/learning/exact-sum/shard-sum-layout'
import { startObjectStorage } from '@tributary/local-stack/services/object-storage/object-storage'
import { testContext } from '@tributary/local-stack/services/testing'
import { Manifest, weightsLayout } from '@tributary/tensors/manifest'
import { FileStore, type MergeStore } from './file-store.ts'

const limitRate = 300
const limitMegabytes = 512
const megabyte = 1e6
const pieceBytes = 8 * 1024 * 1024

const [, , sizeText = '1000', shardsText = '2', optimizerName = 'none', kind = 'file', folderArgument, child] =
  process.argv
const modelBytes = Number(sizeText) * megabyte
const shardCount = Number(shardsText)
const optimiser = ServerOptimizer.parse({ name: optimizerName })

/** Tensors of 64 MB, as large models have them. */
const manifest = Manifest.parse({
  format: 'tributary.manifest/1',
  tensors: Array.from({ length: Math.ceil(modelBytes / 64e6) }, (_, i) => ({
    name: `layer${i}`,
    dtype: 'F32',
    shape: [Math.min(16e6, modelBytes / 4 - i * 16e6)],
    policy: 'average',
  })),
  inputs: [],
  outputs: [],
  loss: 'softmax-cross-entropy',
  labelKind: 'class-index',
})
const rule = {
  weighting: 'examples',
  weightCap: 2 ** 16,
  maxUpdates: 1000,
  bound: 2 ** 10,
  bufferBound: 2 ** 10,
  clippingNorm: null,
} as const
const weights = weightsLayout(manifest)
const sums = shardSumLayout(manifest)

const signal = AbortSignal.timeout(3_600_000)
const withStore = async (folder: string, work: (store: MergeStore) => Promise<unknown>): Promise<void> => {
  if (kind === 's3') return void (await work(new S3ObjectStore({ bucket: 'bench', pathStyle: true })))
  await using store = new FileStore(folder, weights.fileBytes)
  await work(store)
}
const seconds = async (run: () => Promise<unknown>): Promise<number> => {
  const start = performance.now()
  await run()
  return (performance.now() - start) / 1000
}

type FileRef = { readonly objectKey: string; readonly sha256: string; readonly bytes: number }
type Files = { readonly base: FileRef; readonly sum: FileRef }

/** The merge, and what it took. */
const merge = async ({ base, sum }: Files, folder: string): Promise<void> => {
  const uploads: Partial<Record<'weights' | 'state', string>> = {}
  const notes = {
    read: async () => ({ uploads, verified: [] }),
    claimUpload: async (file: 'weights' | 'state', upload: string) => {
      uploads[file] ??= upload
      return upload
    },
    dropUpload: async () => undefined,
    noteVerified: async () => undefined,
  }
  const shard = { region: 'bench', accepted: 1, weight: 100n, sum, participation: null, late: false }
  const shards = Array.from({ length: shardCount }, (_, index) => ({ ...shard, shard: index }))
  const keys = { weights: `next/${randomUUID()}`, state: `next/${randomUUID()}` }
  const work = { manifest, rule, optimiser, base, state: null, shards, keys }
  const run = { signal, onProgress: async () => undefined }
  const before = process.cpuUsage()
  const took = await seconds(() => withStore(folder, store => mergeModel(store as ObjectStore, work, notes, run)))
  const status = await readFile('/proc/self/status', 'utf8')
  const { user, system } = process.cpuUsage(before)
  process.stdout.write(
    JSON.stringify({
      took,
      cpuSeconds: (user + system) / 1e6,
      systemSeconds: system / 1e6,
      peakKilobytes: Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]),
    }),
  )
}

const makeFile = async (folder: string, key: string, header: Uint8Array, bytes: number): Promise<FileRef> => {
  if (kind === 's3') {
    await using writer = new S3ObjectStore({ bucket: 'bench', pathStyle: true }).openWriter(key)
    await writer.write(header)
    const zeros = new Uint8Array(pieceBytes)
    for (let left = bytes - header.length; left > 0; left -= pieceBytes) await writer.write(zeros.subarray(0, left))
    return { objectKey: key, ...(await writer.finish()) }
  }
  await using file = await open(join(folder, key), 'w')
  await file.write(header)
  await file.truncate(bytes)
  const hash = createHash('sha256').update(header)
  const zeros = new Uint8Array(pieceBytes)
  for (let left = bytes - header.length; left > 0; left -= pieceBytes) hash.update(zeros.subarray(0, left))
  return { objectKey: key, sha256: hash.digest('hex'), bytes }
}

/** Reads an object range by range, hashing it; writes it again where that is asked. */
const pass = async (store: MergeStore, { objectKey, bytes }: FileRef, copyTo?: string): Promise<void> => {
  const hash = createHash('sha256')
  const upload = copyTo === undefined ? '' : await store.partUploads.begin(copyTo)
  for (let start = 0; start < bytes; start += pieceBytes) {
    const piece = await store.readRange(objectKey, { start, end: Math.min(bytes, start + pieceBytes) })
    hash.update(piece)
    const part = start / pieceBytes + 1
    if (copyTo !== undefined) await store.partUploads.send({ key: copyTo, upload, part }, piece)
  }
}

const measure = async (folder: string): Promise<void> => {
  const base = await makeFile(folder, 'base', weights.header, weights.fileBytes)
  const sum = await makeFile(folder, 'sum', sums.header, sums.fileBytes)
  const reading = await seconds(() => withStore(folder, store => pass(store, sum)))
  const copying = await seconds(() => withStore(folder, store => pass(store, base, 'copy')))
  const files = JSON.stringify({ base, sum })
  const args = [import.meta.filename, sizeText, shardsText, optimizerName, kind, folder, files]
  // As an instance of the function with 512 MB runs.
  const limits = ['--max-old-space-size=460', '--max-semi-space-size=25']
  const run = spawn(process.execPath, [...process.execArgv, ...limits, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const output: Buffer[] = []
  run.stdout.on('data', (chunk: Buffer) => output.push(chunk))
  const [code] = (await once(run, 'close')) as [number]
  if (code !== 0) throw new Error(`the merge ended with ${code}`)
  const result: { took: number; cpuSeconds: number; systemSeconds: number; peakKilobytes: number } = JSON.parse(
    Buffer.concat(output).toString(),
  )
  const rate = (shardCount * sum.bytes) / result.took / megabyte
  const peak = (result.peakKilobytes * 1024) / megabyte
  const limited = kind === 'file' && optimizerName === 'none'
  const slow = limited && rate < limitRate
  const large = peak > limitMegabytes
  const row = (what: string, value: string) => console.log(`${what.padEnd(44)} ${value}`)
  const sumMegabytes = (sum.bytes / megabyte).toFixed(0)
  console.log(
    `${sizeText} MB model, ${shardsText} sums of ${sumMegabytes} MB, optimiser ${optimizerName}, store ${kind}`,
  )
  row(
    `merge, MB/s of sums${limited ? ` (limit ${limitRate})` : ''}`,
    `${rate.toFixed(0)} (${result.took.toFixed(1)} s)${slow ? '  BELOW' : ''}`,
  )
  row(
    'of it CPU of all its threads',
    `${result.cpuSeconds.toFixed(1)} s (system ${result.systemSeconds.toFixed(1)} s), ${((shardCount * sum.bytes) / result.cpuSeconds / megabyte).toFixed(0)} MB/s`,
  )
  row('largest resident size, MB (limit 512)', `${peak.toFixed(0)}${large ? '  ABOVE' : ''}`)
  row('plain: MB/s read and hashed', (sum.bytes / reading / megabyte).toFixed(0))
  row('plain: MB/s copied (read, hashed, written)', (base.bytes / copying / megabyte).toFixed(0))
  row('merge over plain of the same bytes', `${(result.took / (shardCount * reading + copying)).toFixed(2)} x`)
  if (slow || large) process.exitCode = 1
}

if (child !== undefined && folderArgument !== undefined) await merge(JSON.parse(child) as Files, folderArgument)
else {
  await using stack = new AsyncDisposableStack()
  const folder = await mkdtemp('/var/tmp/tributary-merge-')
  stack.defer(() => rm(folder, { recursive: true, force: true }))
  if (kind === 's3') {
    const context = stack.use(await testContext())
    const service = stack.use(await startObjectStorage(['bench'], context))
    Object.assign(process.env, {
      AWS_REGION: 'local',
      AWS_ENDPOINT_URL_S3: service.url,
      AWS_ACCESS_KEY_ID: context.credentials.awsAccessKeyId,
      AWS_SECRET_ACCESS_KEY: context.credentials.awsSecretAccessKey,
    })
  }
  await measure(folder)
}
