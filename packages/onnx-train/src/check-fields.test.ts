import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkFields, mostFields } from './check-fields.ts'
import { mcmahanCnn } from './models/mcmahan.ts'

/** A model whose graph consists of so many bytes. */
const modelOf = (graph: Uint8Array): Uint8Array => {
  const length: number[] = []
  for (let rest = graph.length; ; rest = Math.floor(rest / 128)) {
    length.push(rest > 127 ? (rest % 128) | 128 : rest)
    if (rest <= 127) break
  }
  const model = new Uint8Array(1 + length.length + graph.length)
  model.set([0x3a, ...length])
  model.set(graph, 1 + length.length)
  return model
}
/** Field 1 (node) of the graph, empty, so many times. */
const emptyNodes = (count: number) => new Uint8Array(2 * count).map((_, index) => (index % 2 === 0 ? 0x0a : 0))

test('a whole model passes', () => {
  checkFields(mcmahanCnn(1))
})

test('one field beyond the limit is one too many, wherever it is', () => {
  // The graph is a field too.
  checkFields(modelOf(emptyNodes(mostFields - 1)))
  assert.throws(() => checkFields(modelOf(emptyNodes(mostFields))), { code: 'TOO_BIG' })
  // Field 1 (input) of one node, with lengths of three bytes for node and graph.
  const inputs = emptyNodes(mostFields)
  const length = inputs.length
  const node = Uint8Array.from([
    0x0a,
    (length % 128) | 128,
    (Math.floor(length / 128) % 128) | 128,
    Math.floor(length / 16_384),
  ])
  const graph = new Uint8Array(node.length + length)
  graph.set(node)
  graph.set(inputs, node.length)
  assert.throws(() => checkFields(modelOf(graph)), { code: 'TOO_BIG' })
})

test('what is malformed is left to the decoder, in bounded time', () => {
  for (const bytes of [[0x3a, 0xff], [0x3a, 5, 1], [0x0b], [0x3a, 3, 0x0a, 0x7f, 0], [0xff, 0xff, 0xff, 0xff]]) {
    checkFields(Uint8Array.from(bytes))
  }
})
