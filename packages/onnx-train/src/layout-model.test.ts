import assert from 'node:assert/strict'
import { test } from 'node:test'
import { extractWeights } from './extract-weights.ts'
import { layoutModel } from './layout-model.ts'
import { mcmahan2nn, mcmahanCnn } from './models/mcmahan.ts'
import { readModel } from './read-model.ts'
import { zeros } from './tensor.ts'
import { modelOf, node } from './testing/model-of.ts'
import { withoutWeights } from './without-weights.ts'
import { writeModel } from './write-model.ts'

const limits = { maxBytes: 1e8 }

/** The file that the pieces make with these weights. */
const assemble = ({ pieces }: ReturnType<typeof layoutModel>, weights: ReadonlyMap<string, Uint8Array>) =>
  Buffer.concat(
    pieces.map(piece => {
      if (piece.kind === 'bytes') return piece.bytes
      const bytes = weights.get(piece.name)
      assert.equal(bytes?.length, piece.byteLength, piece.name)
      return bytes as Uint8Array
    }),
  )

test('the pieces of a graph with or without its weights make the very file that it came from', () => {
  for (const file of [mcmahan2nn(1), mcmahanCnn(3)]) {
    const model = readModel(file, limits)
    const weights = new Map(extractWeights(model).tensors.map(({ name, bytes }) => [name, bytes]))
    const bare = readModel(writeModel(withoutWeights(model)), limits)
    for (const layout of [layoutModel(model), layoutModel(bare)]) {
      assert.equal(layout.bytes, file.length)
      assert.ok(assemble(layout, weights).equals(file))
    }
  }
})

test('a file above what a protobuf message holds is refused before anything is written', () => {
  const small = modelOf('float32', [4], { w: zeros('float32', [4, 2]) }, [node('MatMul', ['x', 'w'], 'y')])
  const model = withoutWeights(small)
  const declared = model.graph?.input.find(({ name }) => name === 'w')?.type?.value
  assert.equal(declared?.case, 'tensorType')
  const [rows, columns] = declared.value.shape?.dim ?? []
  if (rows !== undefined) rows.value = { case: 'dimValue', value: 65_536n }
  if (columns !== undefined) columns.value = { case: 'dimValue', value: 8192n }
  assert.throws(() => layoutModel(model), { code: 'TOO_BIG' })
})
