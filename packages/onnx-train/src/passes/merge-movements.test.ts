import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Node } from '../graph.ts'
import { int64 } from '../testing/gradient-cases.ts'
import { node } from '../testing/model-of.ts'
import { dropDeadCode } from './dead-code.ts'
import { mergeMovements } from './merge-movements.ts'

const constants = new Map(
  Object.entries({ axis: int64([1], 1), other: int64([1], 0), shape: int64([2], -1, 4), kept: int64([2], 0, -1) }),
)
const transpose = (input: string, output: string, ...perm: number[]): Node =>
  node('Transpose', [input], output, { perm: { ints: perm } })
const merged = (nodes: readonly Node[], ...results: string[]): unknown[] =>
  dropDeadCode(mergeMovements(nodes, constants, results), results).map(({ op, inputs, attributes }) => [
    op,
    inputs.join(),
    ...[...attributes.values()].flatMap(value => ('ints' in value ? [value.ints.join()] : [])),
  ])

test('two transposes are one: axis k of the result is axis first[second[k]] of the operand', () => {
  assert.deepEqual(merged([transpose('x', 'a', 1, 2, 0), transpose('a', 'y', 0, 2, 1)], 'y'), [
    ['Transpose', 'x', '1,0,2'],
  ])
})

test('transposes that undo each other vanish, but for a result that must have its name', () => {
  const there = transpose('x', 'a', 1, 2, 0)
  const back = transpose('a', 'b', 2, 0, 1)
  assert.deepEqual(merged([there, back, node('Relu', ['b'], 'y')], 'y'), [['Relu', 'x']])
  assert.deepEqual(merged([there, back], 'b'), [
    ['Transpose', 'x', '1,2,0'],
    ['Transpose', 'a', '2,0,1'],
  ])
})

test('what a Reshape to a constant shape reads may have any shape', () => {
  const first = node('Unsqueeze', ['x', 'axis'], 'a')
  assert.deepEqual(merged([first, node('Reshape', ['a', 'shape'], 'y')], 'y'), [['Reshape', 'x,shape']])
  // A zero keeps the operand's size, and a computed shape may hold one.
  for (const target of ['kept', 'computed']) {
    assert.deepEqual(merged([first, node('Reshape', ['a', target], 'y')], 'y'), [
      ['Unsqueeze', 'x,axis'],
      ['Reshape', `a,${target}`],
    ])
  }
})

test('Squeeze undoes the Unsqueeze of the same axes only', () => {
  const first = node('Unsqueeze', ['x', 'axis'], 'a')
  const rest = (axis: string): Node[] => [node('Squeeze', ['a', axis], 'b'), node('Relu', ['b'], 'y')]
  assert.deepEqual(merged([first, ...rest('axis')], 'y'), [['Relu', 'x']])
  assert.equal(merged([first, ...rest('other')], 'y').length, 3)
})
