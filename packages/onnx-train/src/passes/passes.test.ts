import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Attribute, Node } from '../graph.ts'
import { shareCommonSubexpressions } from './common-subexpressions.ts'
import { hoistInvariants } from './hoist-invariants.ts'

const node = (op: string, inputs: string[], output: string, attributes: [string, Attribute][] = []): Node => ({
  op,
  name: output,
  inputs,
  outputs: [output],
  attributes: new Map(attributes),
})

test('what draws numbers stays in the loop, with all that reads it', () => {
  const nodes = [
    node('RandomNormal', [], 'noise'),
    node('Dropout', ['frozen', 'ratio', 'on'], 'dropped'),
    node('Relu', ['frozen'], 'once'),
    node('Add', ['noise', 'once'], 'noisy'),
  ]
  const { invariant, varying } = hoistInvariants(nodes, ['x'])
  assert.deepEqual(
    invariant.map(({ name }) => name),
    ['once'],
  )
  assert.deepEqual(
    varying.map(({ name }) => name),
    ['noise', 'dropped', 'noisy'],
  )
})

test('expressions that differ in a float which JSON does not tell apart are not shared', () => {
  const values = [0, -0, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  const nodes = values.map((value, index) => node('LeakyRelu', ['x'], `y${index}`, [['alpha', { float: value }]]))
  assert.equal(shareCommonSubexpressions(nodes, []).length, values.length)
})

test('equal expressions are computed once, draws are not', () => {
  const nodes = [
    node('Relu', ['x'], 'a'),
    node('Relu', ['x'], 'b'),
    node('Add', ['a', 'b'], 'sum'),
    node('RandomUniform', [], 'c'),
    node('RandomUniform', [], 'd'),
  ]
  const kept = shareCommonSubexpressions(nodes, ['sum'])
  assert.deepEqual(
    kept.map(({ name, inputs }) => [name, ...inputs]),
    [['a', 'x'], ['sum', 'a', 'a'], ['c'], ['d']],
  )
})
