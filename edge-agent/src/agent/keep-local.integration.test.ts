import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { before, suite, test } from 'node:test'
import { keepLocally } from '@tributary/learning/personalisation/keep-local'
import type { Tensor } from '@tributary/onnx-train/tensor'
import { node as graphNode, modelOf, randomTensor } from '@tributary/onnx-train/testing/model-of'
import { writeModel } from '@tributary/onnx-train/write-model'
import { Manifest } from '@tributary/tensors/manifest'
import { decodeSafetensors, encodeSafetensors } from '@tributary/tensors/safetensors/file'
import { typedView } from '@tributary/tensors/view'
import { TestAuthority } from '../testing/certificates.ts'
import {
  type Bundle,
  bundleOf,
  evaluationWork,
  identityOf,
  publish,
  startAgent,
  task,
  temporaryFolder,
  trainingWork,
} from '../testing/federation.ts'
import { TestNode } from '../testing/test-node.ts'
import type { Identity } from '../transport/identity.ts'

const features = 784
const filled = (value: number): Tensor => ({
  dtype: 'float32',
  shape: [features],
  data: new Float32Array(features).fill(value),
})

/** What comes in is normalised by statistics of the batch, then one linear layer; FedBN keeps the first of them local. */
const model = ((): Bundle => {
  const constants = {
    'bn.weight': filled(1),
    'bn.bias': filled(0),
    'bn.running_mean': filled(0),
    'bn.running_var': filled(1),
    'fc.weight': randomTensor('float32', [features, 10], 1),
  }
  const parts = bundleOf(
    writeModel(
      modelOf('float32', [features], constants, [
        graphNode(
          'BatchNormalization',
          ['x', 'bn.weight', 'bn.bias', 'bn.running_mean', 'bn.running_var'],
          ['n', 'm', 'v'],
          {
            training_mode: { int: 1 },
            momentum: { float: 0.75 },
          },
        ),
        graphNode('MatMul', ['n', 'fc.weight'], 'y'),
      ]),
    ),
  )
  const { manifest } = keepLocally(Manifest.parse(JSON.parse(Buffer.from(parts.manifest).toString())), ['batch-norm'])
  return { ...parts, manifest: Buffer.from(JSON.stringify(manifest)) }
})()

/** A device of its own: round after round it trains on the same version, which nobody has changed meanwhile. */
const device = async (authority: TestAuthority, identity: Identity, scale: number) => {
  await using stack = new AsyncDisposableStack()
  const { path } = stack.use(await temporaryFolder())
  const node = stack.use(await TestNode.start(authority))
  publish(node, model)
  const kept = join(path, 'state', 'local-tensors')
  /** @returns what went out, and what stayed */
  const play = async (round: number) => {
    node.uploads.clear()
    node.training = trainingWork({ round, model, batchSize: 20 })
    await using _agent = await startAgent(identity, [node.endpoint], { folder: path, data: { scale } })
    await node.until('an accepted update', () => [...node.uploads.values()].some(({ accepted }) => accepted))
    const [upload] = [...node.uploads.values()]
    const own = decodeSafetensors(await readFile(join(kept, `${task}-${round}.safetensors`)))
    const first = (name: string) => typedView(own.get(name)?.bytes as Uint8Array, 'F32')[0] as number
    return {
      sent: [...decodeSafetensors(upload?.body as Uint8Array).keys()],
      own: [...own.keys()],
      mean: first('bn.running_mean'),
      body: upload?.body,
    }
  }
  const owned = stack.move()
  return { play, path: kept, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

suite('tensors that a task keeps local, in ONNX', { timeout: 60_000 }, () => {
  let authority: TestAuthority
  let identity: Identity
  before(async () => {
    authority = await TestAuthority.create()
    identity = await identityOf(authority)
  })

  test('two devices whose features differ in scale keep their statistics apart, over restarts, and send none of them', async () => {
    for (const scale of [255, 25.5]) {
      await using own = await device(authority, identity, scale)
      // Of 20 examples 2 have their stripe in the first row.
      const mean = (2 / 20) * (255 / scale)
      const near = (found: number, expected: number) =>
        assert.ok(Math.abs(found - expected) < 1e-6 * expected, `${found} instead of ${expected}`)
      const first = await own.play(1)
      assert.deepEqual(first.sent, ['delta/fc.weight'])
      assert.deepEqual(first.own, ['bn.weight', 'bn.bias', 'bn.running_mean', 'bn.running_var'])
      near(first.mean, 0.25 * mean)
      // Another process, and a version that has the statistics of none.
      const second = await own.play(2)
      near(second.mean, 0.75 * 0.25 * mean + 0.25 * mean)
      near((await own.play(3)).mean, (1 - 0.75 ** 3) * mean)
      assert.equal((await readdir(own.path)).length, 2)
    }
  })

  test('an evaluation is of the own values of a device that has some, and of the version where there are none', async () => {
    const evaluated = async (device: { folder: string; train: boolean }, weights: Uint8Array) => {
      await using node = await TestNode.start(authority)
      publish(node, model, weights)
      const agent = { folder: device.folder, data: { scale: 25.5 } }
      if (device.train) {
        node.training = trainingWork({ round: 1, model, batchSize: 20 })
        await using _trainer = await startAgent(identity, [node.endpoint], agent)
        await node.until('an accepted update', () => [...node.uploads.values()].some(({ accepted }) => accepted))
        node.training = undefined
      }
      node.evaluation = { ...evaluationWork(weights, { model }), task }
      await using _evaluator = await startAgent(identity, [node.endpoint], { ...agent, heldOut: true })
      await node.until('a report', () => node.reports.length === 1)
      return node.reports[0]?.metrics.find(({ name }) => name === 'loss_q20')?.value
    }
    await using folder = await temporaryFolder()
    const personal = await evaluated({ folder: folder.path, train: true }, model.weights)
    await using other = await temporaryFolder()
    const plain = await evaluated({ folder: other.path, train: false }, model.weights)
    assert.notEqual(personal, plain)
    // A stranger with a version that has these values from the start.
    const kept = await readFile(join(folder.path, 'state', 'local-tensors', `${task}-1.safetensors`))
    const merged = encodeSafetensors([
      ...new Map([...decodeSafetensors(model.weights), ...decodeSafetensors(kept)]).values(),
    ])
    await using third = await temporaryFolder()
    assert.equal(await evaluated({ folder: third.path, train: false }, merged), personal)
  })

  test('values that are damaged on disk are as if there were none', async () => {
    await using whole = await device(authority, identity, 255)
    const first = await whole.play(1)
    await using damaged = await device(authority, identity, 255)
    await damaged.play(1)
    await writeFile(join(damaged.path, `${task}-1.safetensors`), 'not safetensors')
    assert.equal((await damaged.play(2)).mean, first.mean)
  })
})
