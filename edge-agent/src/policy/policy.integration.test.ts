import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { before, suite, test } from 'node:test'
import { readLedger } from '../status/ledger.ts'
import { TestAuthority } from '../testing/certificates.ts'
import {
  evaluationWork,
  freshToken,
  identityOf,
  publishBundle,
  startAgent,
  task,
  temporaryFolder,
  trainingWork,
} from '../testing/federation.ts'
import { TestNode } from '../testing/test-node.ts'
import type { Identity } from '../transport/identity.ts'

const waitSeconds = 60

suite("an agent under its owner's policy", () => {
  let authority: TestAuthority
  let identity: Identity
  before(async () => {
    authority = await TestAuthority.create()
    identity = await identityOf(authority)
  })

  const begin = async (folder: string, policy: unknown) => {
    const node = await TestNode.start(authority)
    publishBundle(node)
    const write = (content: unknown) => writeFile(join(folder, 'data', 'policy.json'), JSON.stringify(content))
    await mkdir(join(folder, 'data'))
    await write(policy)
    return { node, write }
  }
  const failures = (node: TestNode) => node.checkIns.flatMap(({ failed }) => failed)

  test('refuses before anything is pulled, tells the node by which rule, and says so in the ledger', async () => {
    await using folder = await temporaryFolder()
    const { node: started } = await begin(folder.path, {
      tasks: { deny: [task] },
      share: { metrics: false, logs: false },
    })
    await using node = started
    node.training = trainingWork()
    node.evaluation = { ...evaluationWork(), token: freshToken() }
    await using agent = await startAgent(identity, [node.endpoint], { folder: folder.path, heldOut: true })
    await node.until('both refusals', () => failures(node).length >= 2, waitSeconds)
    const told = failures(node).map(({ code, detail }) => `${code}: ${detail}`)
    assert.ok(told.includes(`POLICY_REFUSED: Rule "tasks.deny" of the owner's policy.`), told.join())
    assert.ok(told.includes(`POLICY_REFUSED: Rule "share.metrics" of the owner's policy.`), told.join())
    assert.deepEqual([node.pulls, node.pushes], [[], []])
    assert.equal(agent.agent.status.training, null)
    await node.until('one more check-in', () => node.checkIns.length > 5, waitSeconds)
    const sent = await Array.fromAsync(readLedger(agent.stateDir))
    assert.deepEqual(
      new Set(sent.map(({ kind, verdict, detail }) => `${kind} ${verdict ?? detail}`)),
      new Set(['datasets stripes: 20 held out', 'failure POLICY_REFUSED']),
    )
  })

  test('stops work in the middle when the policy changes, and takes it up when it changes back', async () => {
    await using folder = await temporaryFolder()
    const { node: started, write } = await begin(folder.path, {})
    await using node = started
    node.training = trainingWork({ localEpochs: 1000, batchSize: 1 })
    await using agent = await startAgent(identity, [node.endpoint], { folder: folder.path, examples: 1000 })
    await node.until('training is on its way', () => (node.checkIns.at(-1)?.running[0]?.progress ?? 0) > 0, waitSeconds)
    await write({ hours: { timeZone: 'UTC', windows: [{ from: minutesFromNow(120), to: minutesFromNow(180) }] } })
    await node.until('the refusal', () => failures(node).length > 0, waitSeconds)
    assert.deepEqual(
      [failures(node)[0]?.code, failures(node)[0]?.detail],
      ['POLICY_REFUSED', `Rule "hours" of the owner's policy.`],
    )
    assert.equal(agent.agent.status.refusedBy, 'hours')
    await node.until('rest', () => node.checkIns.at(-1)?.running.length === 0, waitSeconds)
    await write({})
    node.training = trainingWork({ round: 2 })
    await node.until('an update', () => [...node.uploads.values()].some(({ accepted }) => accepted), waitSeconds)
    const updates = (await Array.fromAsync(readLedger(agent.stateDir))).filter(({ kind }) => kind === 'update')
    assert.equal(updates.length, 1)
    const { time: _, ...entry } = updates[0] ?? { time: '' }
    const [upload] = [...node.uploads.values()]
    assert.deepEqual(entry, {
      kind: 'update',
      task,
      round: 2,
      attempt: 1,
      bytes: upload?.body.byteLength,
      sha256: upload?.header.sha256,
      examples: 1000,
      metrics: ['examples', 'loss_q20', 'steps'],
      verdict: 'accepted',
    })
  })

  test('lets words and logs of work that failed out without paths, and only codes where the owner says so', async () => {
    for (const logs of [true, false]) {
      await using folder = await temporaryFolder()
      const { node: started } = await begin(folder.path, { share: { logs } })
      await using node = started
      const trainers = [{ name: 'net', framework: 'pytorch', python: '/nowhere/python', trainer: 'net:trainer' }]
      await writeFile(join(folder.path, 'data', 'trainers.json'), JSON.stringify({ trainers }))
      const work = trainingWork()
      node.training = { ...work, trainer: { ...work.trainer, framework: 'pytorch', trainer: 'net' } as never }
      await using _agent = await startAgent(identity, [node.endpoint], { folder: folder.path })
      await node.until('the failure', () => failures(node).length > 0, waitSeconds)
      const { code, detail = '', logTail } = failures(node)[0] ?? {}
      assert.deepEqual([code, detail !== '', logTail], ['WORK_UNSUPPORTED', logs, ''])
      assert.ok(!detail.includes('/nowhere'), detail)
    }
  })

  test('keeps metrics on the device where the owner says so', async () => {
    await using folder = await temporaryFolder()
    const { node: started } = await begin(folder.path, { share: { metrics: false } })
    await using node = started
    node.training = trainingWork()
    await using _agent = await startAgent(identity, [node.endpoint], { folder: folder.path, examples: 1000 })
    await node.until('an update', () => [...node.uploads.values()].some(({ accepted }) => accepted), waitSeconds)
    const [upload] = [...node.uploads.values()]
    assert.deepEqual([upload?.header.metrics, upload?.header.examples], [[], 1000n])
  })
})

const minutesFromNow = (minutes: number): string => new Date(Date.now() + minutes * 60_000).toISOString().slice(11, 16)
