/**
 * How fast a regional node checks and adds updates, in GB/s of update on one core, beside a copy of the same bytes in the same run:
 *
 *   node bench/regional-node-kernels.ts
 *
 * First the kernels alone, on an update that lies in their memory, and the copy into that memory apart; then whole jobs of one
 * worker thread on files in the page cache, sealed as a node keeps them and plain. Best of many runs.
 */
import { createCipheriv, createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { addQuantised } from '@tributary/learning/exact-sum/add-quantised'
import { sumExponent } from '@tributary/learning/exact-sum/exponent'
import { allocateKernelMemory } from '@tributary/learning/kernels/kernel-memory'
import { KERNEL_SLACK_BYTES, Kernels, scratchBytes } from '@tributary/learning/kernels/kernels'
import { SeededRandom } from '@tributary/learning/seeded/random'
import { deriveSeed } from '@tributary/learning/seeded/seed'
import { encodeUpdate } from '@tributary/learning/update/update-body'
import { UpdateWorkers } from '@tributary/regional-node/kernels/update-workers'
import { Manifest } from '@tributary/tensors/manifest'
import { bytesOf } from '@tributary/tensors/view'
import { fastestMillis } from './statistics.ts'

/** Values, and how many GB/s of float32 update their addition has to reach. */
const sizes = [
  { values: 10_000, limit: 6 },
  { values: 100_000, limit: 6 },
  { values: 1_000_000, limit: 6 },
  { values: 1_700_000, limit: 6 },
  { values: 10_000_000, limit: 2.5 },
  { values: 50_000_000, limit: 2.5 },
] as const
const measureMillis = 300

const rule = {
  weighting: 'examples',
  weightCap: 2 ** 16,
  maxUpdates: 1000,
  bound: 2 ** 10,
  bufferBound: 2 ** 10,
  clippingNorm: null,
} as const
const scale = 600 * 2 ** sumExponent(rule)

/** A cycle of numbers as deltas have them; as long as a core's own cache, so that long arrays are filled fast. */
const pattern = (() => {
  const random = new SeededRandom(deriveSeed('bench', 1))
  return Float32Array.from({ length: 65_536 }, () => random.normal() * 1e-3)
})()

function deltas(length: number): Float32Array {
  const values = new Float32Array(length)
  for (let i = 0; i < length; i += pattern.length)
    values.set(pattern.subarray(0, Math.min(pattern.length, length - i)), i)
  return values
}

/** A model of one tensor. */
function manifestOf(values: number): Manifest {
  return Manifest.parse({
    format: 'tributary.manifest/1',
    tensors: [{ name: 'delta', dtype: 'F32', shape: [values], policy: 'average' }],
    inputs: [],
    outputs: [],
    loss: 'softmax-cross-entropy',
    labelKind: 'class-index',
  })
}

/** Best rate of many runs, in GB/s; short ones are repeated, so that the clock sees them. */
function rate(bytes: number, run: () => void): number {
  const repeats = Math.max(1, Math.ceil(4e6 / bytes))
  const until = performance.now() + measureMillis
  const repeated = () => {
    for (let i = 0; i < repeats; i += 1) run()
  }
  const best = fastestMillis(repeated, runs => runs < 5 || performance.now() < until) / repeats
  return bytes / best / 1e6
}

const cell = (value: number): string => value.toFixed(2).padStart(10)
const header = (columns: readonly string[]): string => columns.map(column => column.padStart(10)).join('')
let below = 0

console.log('Kernels, GB/s of float32 update on one core')
console.log(`${'values'.padEnd(12)}${header(['memcpy', 'copy in', 'add', 'limit', 'range', 'squares', 'add in TS'])}`)
for (const { values, limit } of sizes) {
  const bytes = 4 * values
  const scratch = 64
  const from = scratch + Math.ceil(scratchBytes(0) / 64) * 64
  const into = from + Math.ceil((bytes + KERNEL_SLACK_BYTES) / 64) * 64
  const memory = allocateKernelMemory(into + 8 * values + KERNEL_SLACK_BYTES)
  const kernels = new Kernels(memory, scratch)
  const update = bytesOf(deltas(values))
  const copy = new Uint8Array(bytes)
  const sum = new BigInt64Array(values)
  const target = kernels.bytes.subarray(from, from + bytes)
  const memcpy = rate(bytes, () => copy.set(update))
  const copyIn = rate(bytes, () => target.set(update))
  const add = rate(bytes, () => kernels.addQuantised('F32', from, into, values, scale))
  const range = rate(bytes, () => kernels.firstBeyond('F32', from, values, rule.bound))
  const squares = rate(bytes, () => kernels.addSquares('F32', from, values))
  const twin = rate(bytes, () => addQuantised(sum, new Float32Array(update.buffer), scale))
  if (add < limit) below += 1
  const verdict = add < limit ? '  BELOW' : ''
  console.log(
    `${String(values).padEnd(12)}${[memcpy, copyIn, add, limit, range, squares, twin].map(cell).join('')}${verdict}`,
  )
}

/** Seconds of the fastest of some runs. */
async function fastest(runs: number, run: () => Promise<unknown>): Promise<number> {
  let best = Infinity
  for (let i = 0; i < runs; i += 1) {
    const start = performance.now()
    await run()
    best = Math.min(best, performance.now() - start)
  }
  return best / 1000
}

const folder = await mkdtemp(join(tmpdir(), 'tributary-kernels-'))
try {
  await using workers = UpdateWorkers.open({ threads: 1 })
  console.log('\nJobs of one thread on files, GB/s of update (updates/s)')
  console.log(
    `${'values'.padEnd(12)}${''.padEnd(8)}${['sha256 alone', 'check', 'check, no hash', 'add', 'files'].map(c => c.padStart(20)).join('')}`,
  )
  for (const values of [10_000, 100_000, 1_000_000, 10_000_000]) {
    const manifest = manifestOf(values)
    using round = workers.round(manifest, { ...rule, maxUpdates: 2 ** 31 })
    using sum = await round.openSum()
    const body = encodeUpdate(manifest, new Map([['delta', bytesOf(deltas(values))]]))
    const sha256 = createHash('sha256').update(body).digest('hex')
    const jobs = Math.max(2, Math.min(200, Math.ceil(4e7 / body.byteLength)))
    const hash = rate(body.byteLength, () => createHash('sha256').update(body).digest())
    for (const seal of [undefined, { key: randomBytes(32), iv: randomBytes(16) }]) {
      const path = join(folder, 'body')
      await writeFile(path, seal ? createCipheriv('aes-256-ctr', seal.key, seal.iv).update(body) : body)
      const place = { path, offset: 0, bytes: body.byteLength, ...(seal && { seal }) }
      const each = (job: () => Promise<unknown>) => fastest(3, () => Promise.all(Array.from({ length: jobs }, job)))
      const files = {
        from: null,
        to: join(folder, 'sum'),
        updates: Array.from({ length: 8 }, () => ({ body: place, weight: 1 })),
      }
      const seconds = [
        await each(() => round.check(place, { sha256 })),
        await each(() => round.check(place, { sha256: null })),
        await each(() => sum.add(place, 600)),
        (jobs / 8) * (await fastest(2, () => round.sumFiles(files))),
      ]
      const columns = seconds.map(s => `${((jobs * body.byteLength) / s / 1e9).toFixed(2)} (${Math.round(jobs / s)}/s)`)
      const name = String(values).padEnd(12) + (seal ? 'sealed' : 'plain').padEnd(8)
      console.log(`${name}${[hash.toFixed(2), ...columns].map(column => column.padStart(20)).join('')}`)
    }
  }

  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const manifest = manifestOf(10_000_000)
  using round = workers.round(manifest, rule)
  const body = encodeUpdate(manifest, new Map([['delta', bytesOf(deltas(10_000_000))]]))
  const path = join(folder, 'body')
  await writeFile(path, body)
  const place = { path, offset: 0, bytes: body.byteLength }
  delay.reset()
  await Promise.all(Array.from({ length: 30 }, () => round.check(place, { sha256: 'none' })))
  console.log(`\nEvent loop while 30 updates of 40 MB are checked: p99 ${(delay.percentile(99) / 1e6).toFixed(1)} ms`)
} finally {
  await rm(folder, { recursive: true, force: true })
}
if (below > 0) process.exitCode = 1
