import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { before, suite, test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { ObjectInfoSchema, type TrainingWork } from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import { encodeStatistics, statisticsManifest, zeroStatistics } from '@tributary/learning/statistics/feature-statistics'
import { decodeSafetensors } from '@tributary/tensors/safetensors/file'
import { typedView } from '@tributary/tensors/view'
import { readLedger } from '../status/ledger.ts'
import { TestAuthority } from '../testing/certificates.ts'
import {
  evaluationWork,
  identityOf,
  infoOf,
  publishBundle,
  startAgent,
  temporaryFolder,
  trainingWork,
} from '../testing/federation.ts'
import type { Stripes } from '../testing/idx-files.ts'
import { TestNode } from '../testing/test-node.ts'
import type { Identity } from '../transport/identity.ts'

const waitSeconds = 40
const federated = { by: 'federated' }

/** Of pixels that are 0 or 1, one entry for all: any numbers will do, and these are exact. */
const statistics = encodeStatistics({
  scale: Float64Array.of(1),
  mean: Float64Array.of(0.25),
  variance: Float64Array.of(0.0625),
})
const info = (bytes: Uint8Array) => create(ObjectInfoSchema, infoOf(bytes))
const utf8 = (value: unknown) => Buffer.from(JSON.stringify(value))

/** Work of a round that finds statistics, beginning with `base`. */
const measuring = (base: Uint8Array, entries: number, round: number): { work: TrainingWork; objects: Uint8Array[] } => {
  const manifest = utf8(statisticsManifest(entries))
  const model = { weights: base, manifest, graph: new Uint8Array() }
  const { graph: _, trainer, ...work } = trainingWork({ round, model })
  assert.ok(trainer)
  return {
    work: { ...work, trainer: { ...trainer, framework: 'statistics' } } as TrainingWork,
    objects: [base, manifest],
  }
}

suite('an agent whose data is normalised by statistics of all devices', () => {
  let authority: TestAuthority
  let identity: Identity
  before(async () => {
    authority = await TestAuthority.create()
    identity = await identityOf(authority)
  })

  const startNode = async (...objects: Uint8Array[]): Promise<TestNode> => {
    const node = await TestNode.start(authority)
    publishBundle(node, statistics, ...objects)
    return node
  }
  const acceptedBody = (node: TestNode) => [...node.uploads.values()].find(({ accepted }) => accepted)?.body
  const failures = (node: TestNode) =>
    node.checkIns.flatMap(({ failed }) => failed.map(({ code, detail }) => `${code} ${detail}`))

  /** What an agent with this data sends for this work. */
  const updateOf = async (work: TrainingWork, data: Stripes, objects: Uint8Array[] = []): Promise<Buffer> => {
    await using folder = await temporaryFolder()
    await using node = await startNode(...objects)
    node.training = work
    await using _agent = await startAgent(identity, [node.endpoint], { folder: folder.path, data })
    await node.until('an accepted update', () => acceptedBody(node) !== undefined, waitSeconds)
    return acceptedBody(node) as Buffer
  }

  /** Why an agent does not do this work. */
  const refusalOf = async (
    offered: Partial<Pick<TestNode, 'training' | 'evaluation'>>,
    data: Stripes,
    { objects = [], heldOut = false, policy }: { objects?: Uint8Array[]; heldOut?: boolean; policy?: object } = {},
  ): Promise<string | undefined> => {
    await using folder = await temporaryFolder()
    await using node = await startNode(...objects)
    Object.assign(node, offered)
    await mkdir(join(folder.path, 'data'))
    if (policy !== undefined) await writeFile(join(folder.path, 'data', 'policy.json'), JSON.stringify(policy))
    await using _agent = await startAgent(identity, [node.endpoint], { folder: folder.path, data, heldOut })
    await node.until('a refusal', () => failures(node).length > 0, waitSeconds)
    assert.deepEqual([node.pushes, node.reports], [[], []])
    return failures(node)[0]
  }

  test('finds them in three passes, and its ledger says what it told', async () => {
    await using folder = await temporaryFolder()
    const first = measuring(encodeStatistics(zeroStatistics(784)), 784, 1)
    await using node = await startNode(...first.objects)
    node.training = first.work
    await using agent = await startAgent(identity, [node.endpoint], {
      folder: folder.path,
      data: { scale: 51, normalise: federated },
    })
    await node.until('an accepted update', () => acceptedBody(node) !== undefined, waitSeconds)
    assert.ok(node.checkIns[0]?.frameworks.includes('statistics'))
    const parts = decodeSafetensors(acceptedBody(node) as Buffer)
    assert.deepEqual(
      [...parts.keys()],
      ['value/scale', 'delta/mean', 'delta/mean_rest', 'delta/variance', 'delta/variance_rest'],
    )
    const read = (name: string) => [...typedView(parts.get(name)?.bytes as Uint8Array, 'F64')]
    // Stripe c is row 3 c of 28, and is 255 / 51 = 5 there: below 8. Nine rows in ten are never painted.
    const expected = Array.from({ length: 784 }, (_, pixel) => (pixel % 84 < 28 && pixel < 784 ? 8 : 0))
    assert.deepEqual(read('value/scale'), expected)
    assert.ok(read('delta/mean').every(value => value === 0))
    await node.until('the receipt is stored', () => agent.updates.list()[0]?.receipt !== undefined, waitSeconds)
    const entries = await Array.fromAsync(readLedger(agent.stateDir))
    const update = entries.find(({ kind }) => kind === 'update')
    assert.equal(update?.detail, 'scale of the features of stripes')
    assert.deepEqual(update?.metrics, [])
  })

  test('tells mean and variance in units of the scale, less the base', async () => {
    const base = (mean: number) => ({
      scale: Float64Array.of(2),
      mean: Float64Array.of(mean),
      variance: Float64Array.of(0),
    })
    const value = async (round: number, mean: number, name: string) => {
      const { work, objects } = measuring(encodeStatistics(base(mean)), 1, round)
      const parts = decodeSafetensors(await updateOf(work, { normalise: federated }, objects))
      const [multiple, rest] = [name, `${name}_rest`].map(
        part => typedView(parts.get(part)?.bytes as Uint8Array, 'F64')[0],
      )
      return (multiple as number) + (rest as number)
    }
    // One row in 28 is 1, which is a half in units of 2.
    const share = 1 / 28
    assert.ok(Math.abs((await value(2, 0.125, 'delta/mean')) - (share / 2 - 0.125)) < 1e-14)
    assert.ok(Math.abs((await value(3, 0, 'delta/variance')) - share / 4) < 1e-12)
  })

  test('trains as if its owner had declared the numbers', async () => {
    const work = { ...trainingWork(), statistics: info(statistics) }
    const byWork = await updateOf(work, { normalise: federated })
    const declared = { by: 'moments', mean: 0.25, deviation: 0.25 }
    assert.deepEqual(byWork, await updateOf(trainingWork(), { normalise: declared }))
    // Where the owner did not declare it so, statistics of the work do nothing.
    assert.deepEqual(await updateOf(work, { normalise: declared }), byWork)
  })

  test('evaluates by the same statistics', async () => {
    const lossOf = async (data: Stripes, work = evaluationWork()) => {
      await using folder = await temporaryFolder()
      await using node = await startNode()
      node.evaluation = work
      await using _agent = await startAgent(identity, [node.endpoint], { folder: folder.path, data, heldOut: true })
      await node.until('a report', () => node.reports.length > 0, waitSeconds)
      return node.reports[0]?.metrics.find(({ name }) => name === 'loss_q20')?.value
    }
    const work = { ...evaluationWork(), statistics: info(statistics) }
    const found = await lossOf({ normalise: federated }, work)
    assert.ok(found !== undefined)
    assert.equal(found, await lossOf({ normalise: { by: 'moments', mean: 0.25, deviation: 0.25 } }))
  })

  test('refuses what does not fit, and says what to do', async () => {
    const data = { normalise: federated }
    const missing = /^DATASET_UNUSABLE STATISTICS_MISSING: .* the task names none in "statistics"\.$/
    assert.match(String(await refusalOf({ training: trainingWork() }, data)), missing)
    assert.match(String(await refusalOf({ evaluation: evaluationWork() }, data, { heldOut: true })), missing)

    const three = encodeStatistics(zeroStatistics(3))
    const wrong = { ...trainingWork(), statistics: info(three) }
    assert.match(
      String(await refusalOf({ training: wrong }, data, { objects: [three] })),
      /^DATASET_UNUSABLE STATISTICS_MISMATCH: /,
    )
    const none = utf8({ no: 'statistics' })
    const broken = { ...trainingWork(), statistics: info(none) }
    assert.match(String(await refusalOf({ training: broken }, data, { objects: [none] })), /^MODEL_UNSUPPORTED /)
  })

  test('lets nobody measure what its owner does not have normalised so, or does not share', async () => {
    const { work, objects } = measuring(encodeStatistics(zeroStatistics(1)), 1, 1)
    assert.match(String(await refusalOf({ training: work }, {}, { objects })), /^DATASET_UNUSABLE NOT_FEDERATED: /)
    assert.equal(
      await refusalOf(
        { training: work },
        { normalise: federated },
        { objects, policy: { share: { statistics: false } } },
      ),
      'POLICY_REFUSED Rule "share.statistics" of the owner\'s policy.',
    )
  })

  test('measures nothing for a task that asks for something else', async () => {
    const data = { normalise: federated }
    const { work, objects } = measuring(encodeStatistics(zeroStatistics(1)), 1, 1)
    assert.ok(work.sum)
    // 20 examples.
    const light = { ...work, sum: { ...work.sum, weightCap: 19 } }
    assert.equal(
      await refusalOf({ training: light }, data, { objects }),
      'WORK_UNSUPPORTED The data set has 20 examples; the task weighs at most 19 of a device.',
    )
    const odd = utf8({ ...statisticsManifest(1), loss: 'huber' })
    assert.equal(
      await refusalOf({ training: { ...work, manifest: info(odd) } }, data, {
        objects: [...objects, odd],
      }),
      'MODEL_UNSUPPORTED The manifest is not that of feature statistics.',
    )
    // Values a thousand times the scale that the round is to go by.
    const small = { ...zeroStatistics(1), scale: Float64Array.of(2 ** -10) }
    const next = measuring(encodeStatistics(small), 1, 2)
    assert.match(
      String(await refusalOf({ training: next.work }, data, { objects: next.objects })),
      /^DATASET_UNUSABLE BEYOND_SCALE: /,
    )
  })
})
