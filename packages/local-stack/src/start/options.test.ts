import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseStartOptions, UsageError } from './options.ts'

test('without options the demo has ten devices in two regions and five rounds', () => {
  const options = parseStartOptions([])
  assert.equal(options.devices, 10)
  assert.equal(options.regions, 2)
  assert.equal(options.rounds, 5)
  assert.deepEqual(options.split, { kind: 'iid' })
  assert.equal(options.learningRate, 0.1)
  assert.equal(options.portBase, undefined)
})

test('a Dirichlet split carries its concentration', () => {
  assert.deepEqual(parseStartOptions(['--split', 'dirichlet:0.5']).split, { kind: 'dirichlet', alpha: 0.5 })
})

const wrong: readonly (readonly [readonly string[], RegExp])[] = [
  [['--device', '10'], /--device/],
  [['extra'], /extra/],
  [['--devices', 'ten'], /--devices takes a whole number from 1 to 1000/],
  [['--devices', '0'], /--devices takes a whole number/],
  [['--devices'], /--devices/],
  [['--fraction', '1.5'], /--fraction takes a number above 0, at most 1/],
  [['--fraction', '0'], /--fraction/],
  [['--model', 'gpt'], /2nn or cnn/],
  [['--split', 'dirichlet:0'], /ALPHA a positive number/],
  [['--split', 'dirichlet:x'], /iid, shards or dirichlet:ALPHA/],
  [['--regions', '11', '--devices', '10'], /--regions may not exceed --devices/],
  [['--port-base', '80'], /--port-base takes/],
  [['--learning-rate', '-1'], /--learning-rate/],
]
for (const [args, message] of wrong) {
  test(`${args.join(' ')} is refused in one line`, () => {
    assert.throws(
      () => parseStartOptions(args),
      (error: Error) => error instanceof UsageError && message.test(error.message) && !error.message.includes('\n'),
    )
  })
}
