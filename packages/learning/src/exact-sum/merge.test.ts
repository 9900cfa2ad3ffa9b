import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Manifest, weightsLayout } from '@tributary/tensors/manifest'
import { decodeSafetensors, encodeSafetensors } from '@tributary/tensors/safetensors/file'
import { bytesOf, typedView } from '@tributary/tensors/view'
import fc from 'fast-check'
import { SeededRandom } from '../seeded/random.ts'
import { deriveSeed } from '../seeded/seed.ts'
import { checkUpdate } from '../update/check-update.ts'
import { encodeUpdate } from '../update/update-body.ts'
import { mergeModel, PartMerge } from './merge.ts'
import { planMerge } from './merge-plan.ts'
import { ShardSum } from './shard-sum.ts'
import { shardSumLayout } from './shard-sum-layout.ts'
import type { SumRule } from './sum-rule.ts'

const manifest = Manifest.parse({
  format: 'tributary.manifest/1',
  tensors: [
    { name: 'bias', dtype: 'F32', shape: [3], policy: 'average' },
    { name: 'flags', dtype: 'BOOL', shape: [3], policy: 'max' },
    { name: 'local', dtype: 'F32', shape: [2], policy: 'keep-local' },
    { name: 'weight', dtype: 'F32', shape: [5, 3], policy: 'average' },
    { name: 'half', dtype: 'BF16', shape: [3], policy: 'average' },
    { name: 'running', dtype: 'F64', shape: [2], policy: 'average', buffer: true },
    { name: 'steps', dtype: 'I64', shape: [], policy: 'max' },
    { name: 'none', dtype: 'F32', shape: [0], policy: 'average' },
    { name: 'frozen', dtype: 'I8', shape: [5], policy: 'frozen' },
  ],
  inputs: [],
  outputs: [],
  loss: 'softmax-cross-entropy',
  labelKind: 'class-index',
})

const rule: SumRule = {
  weighting: 'examples',
  weightCap: 2 ** 16,
  maxUpdates: 1000,
  bound: 2 ** 10,
  bufferBound: 2 ** 4,
  clippingNorm: null,
}

interface Update {
  body: Uint8Array
  weight: number
}

/** Anything a device may send, magnitudes from 1e-9 to the bound. */
function randomUpdate(seed: number): Update {
  const random = new SeededRandom(deriveSeed('test', seed))
  const value = (bound: number) => (random.unit() * 2 - 1) * bound * 10 ** -random.below(13)
  const content = new Map<string, Uint8Array>()
  for (const { name, dtype, shape, buffer } of manifest.tensors) {
    const length = shape.reduce((product, size) => product * size, 1)
    const values = Float64Array.from({ length }, () => value(buffer ? 16 : 1024))
    if (dtype === 'F32') content.set(name, bytesOf(Float32Array.from(values)))
    if (dtype === 'F64') content.set(name, bytesOf(values))
    if (dtype === 'BF16') content.set(name, bytesOf(Uint16Array.from({ length }, () => 0x3000 + random.below(0x1000))))
    if (dtype === 'BOOL')
      content.set(
        name,
        Uint8Array.from({ length }, () => random.below(2)),
      )
    if (dtype === 'I64') content.set(name, bytesOf(BigInt64Array.of(BigInt(random.below(1000)) - 500n)))
  }
  return { body: encodeUpdate(manifest, content), weight: 1 + random.below(2 ** 16) }
}

const base = encodeSafetensors(
  manifest.tensors.map(({ name, dtype, shape }) => {
    const { byteLength } = weightsLayout(manifest).tensors.get(name) as { byteLength: number }
    return { name, dtype, shape, bytes: new Uint8Array(byteLength).fill(dtype === 'BOOL' ? 0 : 0x3d) }
  }),
)

function sumOf(updates: readonly Update[]) {
  const sum = new ShardSum(manifest, rule)
  for (const { body, weight } of updates) sum.add(body, checkUpdate(body, manifest, rule).parts, weight)
  return { ...sum.totals, file: Buffer.concat([...sum.chunks()]) }
}

const value = (file: Uint8Array, name: string) => decodeSafetensors(file).get(name)?.bytes as Uint8Array

const seeds = fc.uniqueArray(fc.nat(), { minLength: 1, maxLength: 12 })

test('any arrival order and any split over shards give the same model, byte for byte', () => {
  const cases = seeds.chain(list =>
    fc.record({
      list: fc.constant(list),
      shuffled: fc.shuffledSubarray(list, { minLength: list.length, maxLength: list.length }),
      shardOf: fc.array(fc.nat({ max: 4 }), { minLength: list.length, maxLength: list.length }),
    }),
  )
  fc.assert(
    fc.property(cases, ({ list, shuffled, shardOf }) => {
      const whole = mergeModel(manifest, rule, base, [sumOf(list.map(randomUpdate))])
      const shards = Array.from({ length: 5 }, (_, shard) => {
        return sumOf(shuffled.filter((_, i) => shardOf[i] === shard).map(randomUpdate))
      })
      assert.deepEqual(mergeModel(manifest, rule, base, shards), whole)
      assert.deepEqual(mergeModel(manifest, rule, base, shards.toReversed()), whole)
    }),
  )
})

test('merging by parts of any size gives the bytes of the whole', () => {
  fc.assert(
    fc.property(seeds, fc.integer({ min: 1, max: 300 }), (list, partBytes) => {
      const shards = [sumOf(list.map(randomUpdate)), sumOf([randomUpdate(7)])]
      const weight = shards.reduce((sum, shard) => sum + shard.weight, 0n)
      const merge = new PartMerge(rule)
      const parts = planMerge(manifest, partBytes).map(part => {
        merge.begin(part)
        for (const { file } of shards) merge.addShard(file.subarray(part.sum.begin, part.sum.end))
        return merge.finish(base.slice(part.weights.begin, part.weights.end), weight).weights
      })
      assert.deepEqual(new Uint8Array(Buffer.concat(parts)), mergeModel(manifest, rule, base, shards))
    }),
  )
})

test('parts cover model and sums once, in order, and keep to their size', () => {
  const headerBytes = weightsLayout(manifest).header.byteLength
  const sums = shardSumLayout(manifest)
  for (const partBytes of [1, 8, 13, 64, 2000, Infinity]) {
    const parts = planMerge(manifest, partBytes)
    assert.equal(parts[0]?.weights.begin, 0)
    assert.equal(parts.at(-1)?.weights.end, base.byteLength)
    assert.equal(parts[0]?.sum.begin, sums.header.byteLength)
    assert.equal(parts.at(-1)?.sum.end, sums.fileBytes)
    for (const [i, part] of parts.entries()) {
      assert.equal(part.number, i + 1)
      assert.ok(part.weights.end - part.weights.begin <= Math.max(partBytes, i === 0 ? headerBytes : 8))
      assert.equal(part.weights.begin, parts[i - 1]?.weights.end ?? 0)
      assert.equal(part.sum.begin, parts[i - 1]?.sum.end ?? sums.header.byteLength)
    }
  }
})

test('the merged values are those worked by hand', () => {
  const content = (bias: number[], flags: number[], steps: bigint) =>
    new Map<string, Uint8Array>(
      manifest.tensors.map(({ name, shape, dtype }) => {
        const size = { F32: 4, F64: 8, BF16: 2, BOOL: 1, I64: 8, I8: 1 }[dtype as 'F32'] as number
        return [name, new Uint8Array(size * shape.reduce((product, axis) => product * axis, 1))] as const
      }),
    )
      .set('bias', bytesOf(Float32Array.from(bias)))
      .set('flags', Uint8Array.from(flags))
      .set('steps', bytesOf(BigInt64Array.of(steps)))
  const one = { body: encodeUpdate(manifest, content([1, -2, 0], [0, 1, 0], 4n)), weight: 1 }
  const three = { body: encodeUpdate(manifest, content([5, 2, 0], [1, 0, 0], -9n)), weight: 3 }
  const merged = mergeModel(manifest, rule, base, [sumOf([one]), sumOf([]), sumOf([three])])
  const before = typedView(value(base, 'bias'), 'F32')[0] as number
  // (1·1 + 3·5) / 4 = 4 and (1·−2 + 3·2) / 4 = 1
  assert.deepEqual(
    [...typedView(value(merged, 'bias'), 'F32')],
    [4, 1, 0].map(step => Math.fround(before + step)),
  )
  assert.deepEqual([...value(merged, 'flags')], [1, 1, 0])
  assert.deepEqual([...typedView(value(merged, 'steps'), 'I64')], [4n])
  for (const name of ['local', 'frozen', 'weight', 'half', 'running']) {
    assert.deepEqual(value(merged, name), value(base, name))
  }
})

test('a restored sum goes on as if nothing had happened', () => {
  const updates = [1, 2, 3, 4].map(randomUpdate)
  const { file, ...totals } = sumOf(updates.slice(0, 2))
  const restored = ShardSum.restore(manifest, rule, file, totals)
  for (const { body, weight } of updates.slice(2)) restored.add(body, checkUpdate(body, manifest, rule).parts, weight)
  assert.deepEqual({ ...restored.totals, file: Buffer.concat([...restored.chunks()]) }, sumOf(updates))
  assert.throws(() => ShardSum.restore(manifest, rule, file.subarray(1), totals), { code: 'SHARD_SUM_MALFORMED' })
})

test('an update added by slices is that added whole', () => {
  const { body, weight } = randomUpdate(5)
  const { parts } = checkUpdate(body, manifest, rule)
  const sum = new ShardSum(manifest, rule)
  sum.countUpdate(weight)
  for (const { tensor, placed } of parts.toReversed()) {
    const elementBytes = { F32: 4, F64: 8, BF16: 2, BOOL: 1, I64: 8 }[tensor.dtype as 'F32']
    for (let at = 0; at < placed.byteLength; at += elementBytes) {
      const slice = body.subarray(placed.offset + at, placed.offset + at + elementBytes)
      sum.addSlice(tensor.name, at / elementBytes, slice, weight)
    }
  }
  assert.deepEqual(Buffer.concat([...sum.chunks()]), sumOf([{ body, weight }]).file)
  assert.throws(() => sum.addSlice('bias', 3, new Uint8Array(4), 1), RangeError)
  assert.throws(() => sum.addSlice('local', 0, new Uint8Array(4), 1), RangeError)
})

test('updates and weights beyond the rule are refused before anything is added', () => {
  const sum = new ShardSum(manifest, { ...rule, maxUpdates: 1 })
  const { body } = randomUpdate(1)
  const { parts } = checkUpdate(body, manifest, rule)
  for (const weight of [0, -1, 1.5, 2 ** 16 + 1, NaN]) {
    assert.throws(() => sum.add(body, parts, weight), { code: 'SUM_WOULD_OVERFLOW' })
  }
  assert.deepEqual(sum.totals, { updates: 0, weight: 0n })
  sum.add(body, parts, 2 ** 16)
  const before = Buffer.concat([...sum.chunks()])
  assert.throws(() => sum.add(body, parts, 1), { code: 'SUM_WOULD_OVERFLOW' })
  assert.deepEqual(Buffer.concat([...sum.chunks()]), before)
})

test('a round in which every device reports zero examples has no mean', () => {
  assert.throws(() => mergeModel(manifest, rule, base, [sumOf([]), sumOf([])]), { code: 'ZERO_TOTAL_WEIGHT' })
  assert.throws(() => mergeModel(manifest, rule, base, []), { code: 'ZERO_TOTAL_WEIGHT' })
})

test('shards whose counts or header cannot be are refused', () => {
  const good = sumOf([randomUpdate(1)])
  const merge = (change: object, useRule = rule) => mergeModel(manifest, useRule, base, [{ ...good, ...change }])
  assert.throws(() => merge({ weight: 2n ** 16n + 1n }), { code: 'SHARD_SUM_MALFORMED' })
  assert.throws(() => merge({ weight: 0n }), { code: 'SHARD_SUM_MALFORMED' })
  assert.throws(() => merge({ updates: 1001, weight: 1001n }), { code: 'SUM_WOULD_OVERFLOW' })
  assert.throws(() => merge({ file: base }), { code: 'SHARD_SUM_MALFORMED' })
})
