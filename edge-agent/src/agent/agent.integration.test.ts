import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { before, suite, test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { CheckInResponseSchema, VerdictCode, VerdictSchema } from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import { Link } from '@tributary/local-stack/testing/link'
import { decodeSafetensors, encodeSafetensors } from '@tributary/tensors/safetensors/file'
import type { Tensor } from '@tributary/tensors/tensor'
import { bytesOf, typedView } from '@tributary/tensors/view'
import { readLedger } from '../status/ledger.ts'
import { TestAuthority } from '../testing/certificates.ts'
import {
  attempt,
  bundle,
  evaluationWork,
  freshToken,
  identityOf,
  infoOf,
  publishBundle,
  startAgent,
  temporaryFolder,
  trainingWork,
} from '../testing/federation.ts'
import { TestNode } from '../testing/test-node.ts'
import type { Identity } from '../transport/identity.ts'

const bodyBytes = (node: TestNode): number => Number([...node.uploads.values()][0]?.header.totalBytes ?? 0)
const accepted = (node: TestNode): boolean => [...node.uploads.values()].some(upload => upload.accepted)

suite('an agent and a node', () => {
  let authority: TestAuthority
  let identity: Identity

  before(async () => {
    authority = await TestAuthority.create()
    identity = await identityOf(authority)
  })

  const startNode = async (): Promise<TestNode> => {
    const node = await TestNode.start(authority)
    publishBundle(node)
    return node
  }

  test('trains offered work, sends its delta, and keeps it with its receipt until the attempt is settled', async () => {
    await using folder = await temporaryFolder()
    await using node = await startNode()
    node.training = trainingWork()
    await using agent = await startAgent(identity, [node.endpoint], { folder: folder.path })
    await node.until('an accepted update', () => accepted(node))
    const [upload] = [...node.uploads.values()]
    assert.ok(upload)
    assert.equal(upload.header.examples, 20n)
    assert.equal(upload.header.baseSha256, node.training?.base?.sha256)
    const steps = upload.header.metrics.find(({ name }) => name === 'steps')
    assert.equal(steps?.value, 2n, '20 examples in batches of 10')
    const delta = decodeSafetensors(upload.body)
    assert.deepEqual(
      [...delta.keys()],
      [...decodeSafetensors(bundle.weights).keys()].map(name => `delta/${name}`),
    )
    assert.ok(
      [...delta.values()].some(({ bytes }) => bytes.some(byte => byte !== 0)),
      'it learned something',
    )

    const reported = node.checkIns[0]?.datasets[0]
    assert.deepEqual([reported?.name, reported?.examples, reported?.heldOut], ['stripes', 20n, false])
    assert.deepEqual(node.checkIns[0]?.conditions, ['unmetered'])

    node.training = undefined
    await node.until('the receipt is stored', () => agent.updates.get(attempt)?.receipt !== undefined)
    assert.equal(node.checkIns.at(-1)?.holding.length, 1)
    const kept = agent.updates.get(attempt)
    assert.equal(kept?.receipt?.split('.').length, 3)
    assert.deepEqual(await readFile(agent.updates.bodyFile(attempt)), upload.body)

    node.settled = [{ attempt: attemptMessage(), outcome: 'committed' }]
    await node.until('the update is let go', () => node.checkIns.at(-1)?.holding.length === 0)
    assert.deepEqual(agent.updates.list(), [])
  })

  test('gives the same bytes for the same seed, data and base', async () => {
    const bodies: Buffer[] = []
    for (let run = 0; run < 2; run += 1) {
      await using folder = await temporaryFolder()
      await using node = await startNode()
      node.training = trainingWork({ localEpochs: 2 })
      await using _agent = await startAgent(identity, [node.endpoint], { folder: folder.path })
      await node.until('an accepted update', () => accepted(node))
      bodies.push([...node.uploads.values()][0]?.body as Buffer)
    }
    assert.deepEqual(bodies[0], bodies[1])
  })

  test('pulls only the rest of a model after its connection was cut in the middle', async () => {
    await using folder = await temporaryFolder()
    await using node = await startNode()
    await using link = await Link.open(node.endpoint)
    node.training = trainingWork()
    link.cutAfter('down', bundle.weights.length / 2 + 10_000)
    await using _agent = await startAgent(identity, [link.endpoint], { folder: folder.path })
    await node.until('an accepted update', () => accepted(node))
    assert.equal(link.cuts, 1)
    const pulls = node.pulls.filter(({ sha256 }) => sha256 === node.training?.base?.sha256)
    assert.equal(pulls.length, 2)
    assert.equal(pulls[0]?.offset, 0)
    assert.ok((pulls[1]?.offset ?? 0) >= 262_144, `resumed at ${pulls[1]?.offset}`)
  })

  test('sends only the rest of an update after its connection was cut in the middle', async () => {
    await using folder = await temporaryFolder()
    await using node = await startNode()
    await using link = await Link.open(node.endpoint)
    node.training = trainingWork()
    link.cutAfter('up', bundle.weights.length / 2 + 10_000)
    await using _agent = await startAgent(identity, [link.endpoint], { folder: folder.path })
    await node.until('an accepted update', () => accepted(node))
    assert.equal(link.cuts, 1)
    assert.equal(node.pushes.length, 2)
    assert.equal(node.pushes[0]?.offset, 0)
    assert.ok((node.pushes[1]?.offset ?? 0) >= 262_144, `resumed at ${node.pushes[1]?.offset}`)
    assert.equal([...node.uploads.values()][0]?.body.length, bodyBytes(node))
  })

  test('fetches a lost receipt without sending the update again', async () => {
    await using folder = await temporaryFolder()
    await using node = await startNode()
    await using link = await Link.open(node.endpoint)
    node.training = trainingWork()
    node.beforeReply = () => link.cut()
    await using agent = await startAgent(identity, [link.endpoint], { folder: folder.path })
    await node.until('the receipt is held', () => agent.updates.get(attempt)?.receipt !== undefined)
    assert.equal(node.pushes.length, 1)
  })

  test('stops training within one check-in when the attempt is cancelled, and sends nothing', async () => {
    await using folder = await temporaryFolder()
    await using node = await startNode()
    node.training = trainingWork({ localEpochs: 1000, batchSize: 1 })
    await using agent = await startAgent(identity, [node.endpoint], { folder: folder.path, examples: 1000 })
    await node.until('training is on its way', () => (node.checkIns.at(-1)?.running[0]?.progress ?? 0) > 0)
    node.settled = [{ attempt: attemptMessage(), outcome: 'cancelled' }]
    node.training = undefined
    const told = node.checkIns.length
    await node.until('nothing runs', () => node.checkIns.at(-1)?.running.length === 0)
    // One may be on its way already, one is told, and the one after it has nothing to report.
    assert.ok(node.checkIns.length - told <= 3, `${node.checkIns.length - told} check-ins`)
    assert.deepEqual(agent.updates.list(), [])
    assert.equal(node.pushes.length, 0)
  })

  test('goes on training while a node that has just started does not know the attempt yet', async () => {
    await using folder = await temporaryFolder()
    await using node = await startNode()
    node.training = trainingWork({ localEpochs: 20, batchSize: 1 })
    await using _agent = await startAgent(identity, [node.endpoint], { folder: folder.path, examples: 200 })
    await node.until('training is on its way', () => node.checkIns.at(-1)?.running.length === 1)
    node.settled = [{ attempt: attemptMessage(), outcome: 'unknown' }]
    await node.until('an accepted update', () => accepted(node))
    assert.equal(node.pushes.length, 1)
  })

  test('leaves an older attempt for a newer one of the same task', async () => {
    await using folder = await temporaryFolder()
    await using node = await startNode()
    node.training = trainingWork({ localEpochs: 1000, batchSize: 1 })
    await using _agent = await startAgent(identity, [node.endpoint], { folder: folder.path })
    await node.until('training is on its way', () => node.checkIns.at(-1)?.running.length === 1)
    node.training = trainingWork({ round: 2 })
    await node.until('an accepted update', () => accepted(node))
    assert.equal(node.pushes.length, 1)
  })

  test('follows a redirect to the node that leases its shard', async () => {
    await using folder = await temporaryFolder()
    await using contact = await startNode()
    await using owner = await startNode()
    contact.answerCheckIn = () =>
      create(CheckInResponseSchema, {
        result: { case: 'redirect', value: { endpoint: owner.endpoint, pauseMillis: 5_000 } },
      })
    owner.training = trainingWork()
    await using _agent = await startAgent(identity, [contact.endpoint], { folder: folder.path })
    await owner.until('an accepted update', () => accepted(owner))
    assert.equal(contact.checkIns.length, 1)
    assert.equal(contact.pushes.length, 0)
  })

  test('sends the same update to the node that took the shard over, without training again', async () => {
    await using folder = await temporaryFolder()
    await using first = await startNode()
    await using second = await startNode()
    first.training = trainingWork()
    const moved = create(VerdictSchema, { code: VerdictCode.WRONG_SHARD, endpoint: second.endpoint })
    first.answerUpdate = () => moved
    second.training = { ...trainingWork(), token: freshToken() }
    await using _agent = await startAgent(identity, [first.endpoint], { folder: folder.path })
    await second.until('an accepted update', () => accepted(second))
    assert.deepEqual([...second.uploads.keys()], [...first.uploads.keys()])
    assert.equal(second.pulls.length, 0, 'nothing was pulled for a second training')
  })

  test('goes to another contact when one is dead', async () => {
    await using folder = await temporaryFolder()
    const dead = await TestNode.start(authority)
    await dead[Symbol.asyncDispose]()
    await using node = await startNode()
    node.training = trainingWork()
    await using _agent = await startAgent(identity, [dead.endpoint, node.endpoint], { folder: folder.path })
    await node.until('an accepted update', () => accepted(node))
  })

  test('sends an update that survived a restart instead of training again', async () => {
    await using folder = await temporaryFolder()
    await using node = await startNode()
    node.training = trainingWork()
    const refused = create(VerdictSchema, { code: VerdictCode.UNAUTHORISED })
    node.answerUpdate = () => refused
    {
      await using _agent = await startAgent(identity, [node.endpoint], { folder: folder.path })
      await node.until('a refused update', () => node.pushes.length > 0)
    }
    const pulls = node.pulls.length
    node.answerUpdate = undefined
    await using _restarted = await startAgent(identity, [node.endpoint], { folder: folder.path })
    await node.until('an accepted update', () => accepted(node))
    assert.equal(node.pulls.length, pulls)
    assert.equal(node.uploads.size, 1, 'the same bytes')
  })

  test('restarted ten times in the middle of one task, it takes the same attempt up again and sends one update', async () => {
    await using folder = await temporaryFolder()
    await using node = await startNode()
    node.training = trainingWork({ localEpochs: 1000, batchSize: 1 })
    for (let restart = 0; restart < 10; restart += 1) {
      await using _agent = await startAgent(identity, [node.endpoint], { folder: folder.path })
      const seen = node.checkIns.length
      await node.until(
        'training is on its way',
        () => node.checkIns.slice(seen).some(({ running }) => running.length === 1),
        60,
      )
    }
    assert.equal(node.pushes.length, 0)
    node.training = trainingWork()
    await using _agent = await startAgent(identity, [node.endpoint], { folder: folder.path })
    await node.until('an accepted update', () => accepted(node), 60)
    assert.equal(node.uploads.size, 1)
    assert.equal(new Set(node.pulls.map(({ sha256 }) => sha256)).size, node.pulls.length, 'nothing was pulled twice')
  })

  test('a certificate that is renewed in the middle of training ends neither the training nor its update', async () => {
    await using folder = await temporaryFolder()
    await using node = await startNode()
    node.training = trainingWork({ localEpochs: 20, batchSize: 1 })
    await using agent = await startAgent(identity, [node.endpoint], { folder: folder.path, examples: 200 })
    await node.until('training is on its way', () => node.checkIns.at(-1)?.running.length === 1, 60)
    const renewed = await identityOf(authority)
    assert.notDeepEqual(renewed.certificate, identity.certificate)
    agent.endpoints.useIdentity(renewed)
    await node.until('an accepted update', () => accepted(node), 60)
    assert.equal(node.pushes.length, 1)
    assert.equal(new Set(node.pulls.map(({ sha256 }) => sha256)).size, node.pulls.length, 'nothing was pulled twice')
  })

  test('drops an update that came too late, and does not take the attempt up again', async () => {
    await using folder = await temporaryFolder()
    await using node = await startNode()
    node.training = trainingWork()
    node.answerUpdate = () => create(VerdictSchema, { code: VerdictCode.LATE })
    await using agent = await startAgent(identity, [node.endpoint], { folder: folder.path })
    await node.until('a late update', () => node.pushes.length === 1)
    const seen = node.checkIns.length
    await node.until('more check-ins', () => node.checkIns.length >= seen + 5)
    assert.equal(node.pushes.length, 1)
    assert.deepEqual(agent.updates.list(), [])
  })

  test('waits as long as the node asks and then sends again', async () => {
    await using folder = await temporaryFolder()
    await using node = await startNode()
    node.training = trainingWork()
    let refusals = 0
    node.answerUpdate = () => {
      refusals += 1
      node.answerUpdate = undefined
      return create(VerdictSchema, { code: VerdictCode.RETRY_AFTER, retryAfterMillis: 100 })
    }
    await using _agent = await startAgent(identity, [node.endpoint], { folder: folder.path })
    await node.until('an accepted update', () => accepted(node))
    assert.equal(refusals, 1)
    assert.equal(node.pushes.length, 2)
  })

  test('an agent without examples sends an empty update, which the round need not wait for', async () => {
    await using folder = await temporaryFolder()
    await using node = await startNode()
    node.training = trainingWork()
    await using _agent = await startAgent(identity, [node.endpoint], { folder: folder.path, examples: 0 })
    await node.until('an accepted update', () => accepted(node))
    const [upload] = [...node.uploads.values()]
    assert.equal(upload?.header.examples, 0n)
    assert.ok(
      [...decodeSafetensors(upload?.body as Buffer).values()].every(({ bytes }) => bytes.every(byte => byte === 0)),
    )
  })

  test('evaluates on held-out data and reports whole numbers', async () => {
    await using folder = await temporaryFolder()
    await using node = await startNode()
    node.evaluation = evaluationWork()
    await using _agent = await startAgent(identity, [node.endpoint], { folder: folder.path, heldOut: true })
    await node.until('a report', () => node.reports.length === 1)
    const [report] = node.reports
    const metrics = new Map(report?.metrics.map(({ name, value }) => [name, value]))
    assert.equal(report?.examples, 20n)
    assert.deepEqual([...metrics.keys()], ['examples', 'correct', 'loss_q20'])
    assert.ok((metrics.get('correct') ?? -1n) >= 0n && (metrics.get('correct') ?? 99n) <= 20n)
    // An untrained network is about as good as guessing: ln 10 an example.
    const loss = Number(metrics.get('loss_q20')) / 2 ** 20 / 20
    assert.ok(Math.abs(loss - Math.log(10)) < 0.7, `mean loss ${loss}`)
  })

  test('finds what the task asks for, but no counts of labels where its owner lets none out', async () => {
    for (const labelHistograms of [true, false]) {
      await using folder = await temporaryFolder()
      await using node = await startNode()
      await mkdir(join(folder.path, 'data'))
      await writeFile(join(folder.path, 'data', 'policy.json'), JSON.stringify({ share: { labelHistograms } }))
      node.evaluation = { ...evaluationWork(), metrics: ['default'] }
      await using agent = await startAgent(identity, [node.endpoint], { folder: folder.path, heldOut: true })
      await node.until('a report', () => node.reports.length === 1)
      const sums = new Map(node.reports[0]?.metrics.map(({ name, value }) => [name, value]))
      assert.equal(sums.get('positions'), 20n)
      assert.ok((sums.get('top5_correct') ?? 0n) >= (sums.get('correct') ?? 99n))
      const confusion = [...sums].filter(([name]) => name.startsWith('confusion_'))
      const total = confusion.reduce((sum, [, count]) => sum + count, 0n)
      assert.equal(total, labelHistograms ? 20n : 0n)
      const hits = confusion.filter(([name]) => /_(\d)_\1$/.test(name)).reduce((sum, [, count]) => sum + count, 0n)
      assert.equal(hits, labelHistograms ? sums.get('correct') : 0n)
      const told = await Array.fromAsync(readLedger(agent.stateDir))
      assert.deepEqual(told.find(({ kind }) => kind === 'evaluation')?.metrics, [
        'examples',
        'correct',
        'loss_q20',
        'positions',
        'top5_correct',
        ...(labelHistograms ? ['confusion_…'] : []),
      ])
    }
  })

  test('what it learns makes the model better: base plus delta knows every example', async () => {
    await using trainingFolder = await temporaryFolder()
    await using node = await startNode()
    node.training = trainingWork({ localEpochs: 30 })
    {
      await using _trainer = await startAgent(identity, [node.endpoint], { folder: trainingFolder.path })
      await node.until('an accepted update', () => accepted(node))
    }
    const deltas = decodeSafetensors([...node.uploads.values()][0]?.body as Buffer)
    const learned = encodeSafetensors(
      [...decodeSafetensors(bundle.weights).values()].map(tensor => {
        const delta = typedView((deltas.get(`delta/${tensor.name}`) as Tensor).bytes, 'F32')
        const sum = typedView(tensor.bytes, 'F32').map((value, i) => value + (delta[i] as number))
        return { ...tensor, bytes: bytesOf(sum) }
      }),
    )
    publishBundle(node, learned)
    node.training = undefined
    node.evaluation = evaluationWork(learned)
    await using folder = await temporaryFolder()
    await using _evaluator = await startAgent(identity, [node.endpoint], { folder: folder.path, heldOut: true })
    await node.until('a report', () => node.reports.length === 1)
    assert.equal(node.reports[0]?.metrics.find(({ name }) => name === 'correct')?.value, 20n)
  })

  test('held-out data is never trained on', async () => {
    await using folder = await temporaryFolder()
    await using node = await startNode()
    node.training = trainingWork()
    await using _agent = await startAgent(identity, [node.endpoint], { folder: folder.path, heldOut: true })
    await node.until('more check-ins', () => node.checkIns.length >= 5)
    assert.equal(node.pulls.length + node.pushes.length, 0)
  })

  test('a slow link is fine as long as bytes move', async () => {
    await using folder = await temporaryFolder()
    await using node = await startNode()
    await using link = await Link.open(node.endpoint)
    link.throttle(500_000)
    node.training = trainingWork()
    const started = performance.now()
    const times = { unaryMillis: 5_000, stallMillis: 1_000, verdictMillis: 5_000 }
    await using _agent = await startAgent(identity, [link.endpoint], { folder: folder.path, times })
    await node.until('an accepted update', () => accepted(node))
    assert.ok(performance.now() - started > 2 * times.stallMillis, 'pull and push each took longer than a stall')
    assert.deepEqual(node.pushes, [{ offset: 0 }])
  })

  test('does not speak to a server that shows the certificate of a device', async () => {
    await using folder = await temporaryFolder()
    await using impostor = await TestNode.start(authority, 'device')
    await using node = await startNode()
    node.training = trainingWork()
    await using _agent = await startAgent(identity, [impostor.endpoint, node.endpoint], { folder: folder.path })
    await node.until('an accepted update', () => accepted(node))
    assert.equal(impostor.checkIns.length, 0)
  })

  const declarations = (node: TestNode) => node.checkIns.flatMap(({ failed }) => failed)

  const declaresOnce = async (node: TestNode, folder: string, settings: { heldOut?: boolean } = {}) => {
    await using _agent = await startAgent(identity, [node.endpoint], { folder, ...settings })
    await node.until('a declaration', () => declarations(node).length > 0)
    const seen = node.checkIns.length
    await node.until('more check-ins', () => node.checkIns.length >= seen + 3)
    assert.equal(declarations(node).length, 1, 'told once, and not tried again at once')
    assert.equal(node.pushes.length, 0)
    const [declared] = declarations(node)
    assert.ok(declared)
    assert.ok(!JSON.stringify(declared).includes(folder), 'no path leaves the device')
    return declared
  }

  test('says that its data does not serve, without a word about files', async () => {
    await using folder = await temporaryFolder()
    await using node = await startNode()
    node.training = trainingWork()
    const { token, code, detail } = await declaresOnce(node, folder.path, { heldOut: true })
    assert.deepEqual([token, code, detail], [node.training.token, 'DATASET_UNUSABLE', 'HELD_OUT'])
  })

  test('says that training diverged', async () => {
    await using folder = await temporaryFolder()
    await using node = await startNode()
    node.training = trainingWork()
    Object.assign(node.training.trainer ?? {}, { learningRate: 1000, localEpochs: 200 })
    const { code, detail } = await declaresOnce(node, folder.path)
    assert.equal(code, 'TRAINING_DIVERGED')
    assert.match(detail, /^step [1-9]/)
  })

  test('says that it does not train a model', async () => {
    await using folder = await temporaryFolder()
    const graph = Buffer.from('no graph')
    await using node = await startNode()
    publishBundle(node, graph)
    node.training = trainingWork()
    node.training.graph = { ...node.training.graph, ...infoOf(graph) } as typeof node.training.graph
    assert.equal((await declaresOnce(node, folder.path)).code, 'MODEL_UNSUPPORTED')
  })

  test('says that it cannot evaluate', async () => {
    await using folder = await temporaryFolder()
    await using node = await startNode()
    node.evaluation = evaluationWork()
    const { token, code } = await declaresOnce(node, folder.path)
    assert.deepEqual([token, code], [node.evaluation.token, 'DATASET_UNUSABLE'])
  })

  test('does the evaluation of an answer whose training is malformed, and says that it does not take that', async () => {
    await using folder = await temporaryFolder()
    await using node = await startNode()
    node.training = trainingWork()
    node.training.seed = 'not hex'
    node.evaluation = evaluationWork()
    await using _agent = await startAgent(identity, [node.endpoint], { folder: folder.path, heldOut: true })
    await node.until('a report', () => node.reports.length === 1)
    await node.until('a declaration', () => declarations(node).length > 0)
    assert.deepEqual(declarations(node).map(({ token, code }) => [token, code])[0], [
      node.training.token,
      'WORK_UNSUPPORTED',
    ])
  })

  test('declares again until a node has answered', async () => {
    await using folder = await temporaryFolder()
    await using node = await startNode()
    node.training = trainingWork()
    node.answerCheckIn = () => {
      const redirected = declarations(node).length === 1
      if (redirected)
        return create(CheckInResponseSchema, { result: { case: 'redirect', value: { pauseMillis: 100 } } })
      const value = { protocol: 1, pauseMillis: 100, training: trainingWork() }
      return create(CheckInResponseSchema, { result: { case: 'assignment', value } })
    }
    await using _agent = await startAgent(identity, [node.endpoint], { folder: folder.path, heldOut: true })
    await node.until('a second declaration', () => declarations(node).length === 2)
    const seen = node.checkIns.length
    await node.until('more check-ins', () => node.checkIns.length >= seen + 3)
    assert.equal(declarations(node).length, 2)
  })

  test('refuses objects larger than it accepts, and goes on checking in', async () => {
    await using folder = await temporaryFolder()
    await using node = await startNode()
    const work = trainingWork()
    if (work.base) work.base.bytes = 2n ** 40n
    node.training = work
    await using _agent = await startAgent(identity, [node.endpoint], { folder: folder.path })
    await node.until('more check-ins', () => node.checkIns.length >= 3)
    assert.equal(node.pulls.length, 0)
  })
})

const attemptMessage = () => trainingWork().attempt as NonNullable<ReturnType<typeof trainingWork>['attempt']>
