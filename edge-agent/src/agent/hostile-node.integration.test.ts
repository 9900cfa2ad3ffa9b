import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { before, suite, test } from 'node:test'
import { create, toBinary } from '@bufbuild/protobuf'
import {
  CheckInRequestSchema,
  type CheckInResponse,
  CheckInResponseSchema,
  DeploymentSchema,
  type TrainingWork,
} from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import { TestAuthority } from '../testing/certificates.ts'
import {
  bundle,
  identityOf,
  infoOf,
  publish,
  publishBundle,
  type RunningAgent,
  startAgent,
  temporaryFolder,
  trainingWork,
} from '../testing/federation.ts'
import { hostileChanges, hostileModels, hostileNames } from '../testing/hostile-work.ts'
import { TestNode } from '../testing/test-node.ts'
import type { Identity } from '../transport/identity.ts'

const times = { unaryMillis: 5_000, stallMillis: 300, verdictMillis: 5_000 }
const accepted = (node: TestNode): boolean => [...node.uploads.values()].some(upload => upload.accepted)
const declared = (node: TestNode): Map<string, string> =>
  new Map(node.checkIns.flatMap(({ failed }) => failed.map(({ token, code }) => [token, code])))

const answer = (result: CheckInResponse['result']): CheckInResponse => create(CheckInResponseSchema, { result })
const assign = (value: Record<string, unknown>): CheckInResponse =>
  create(CheckInResponseSchema, {
    result: { case: 'assignment', value: { protocol: 1, pauseMillis: 1, ...value } as never },
  })

/** An offer of its own token and round, so that none is taken for another that was refused already. */
const offer = (index: number, name: string, change: (work: TrainingWork) => void): TrainingWork => {
  const work = trainingWork({ round: index + 1 })
  work.token = name
  change(work)
  return work
}

suite('an agent and a node that is hostile', () => {
  let authority: TestAuthority
  let identity: Identity

  before(async () => {
    authority = await TestAuthority.create()
    identity = await identityOf(authority)
  })

  /** Runs an attack, then sees that the agent does honest work, that no file appeared elsewhere and that no row left. */
  const withstands = async (attack: (node: TestNode, running: RunningAgent) => Promise<void>): Promise<void> => {
    await using folder = await temporaryFolder()
    await using node = await TestNode.start(authority)
    publishBundle(node)
    await using running = await startAgent(identity, [node.endpoint], { folder: folder.path, times })
    await node.until('a first check-in', () => node.checkIns.length > 0, 30)
    const filesBefore = await filesOutside(folder.path)
    await attack(node, running)
    assert.deepEqual(await filesOutside(folder.path), filesBefore)

    node.answerCheckIn = undefined
    node.answerPull = undefined
    node.training = trainingWork({ round: 100_000 })
    await node.until('honest work', () => accepted(node), 60)
    const sent = Buffer.concat([
      ...node.checkIns.map(request => toBinary(CheckInRequestSchema, request)),
      ...[...node.uploads.values()].map(({ body }) => body),
    ])
    assert.ok(!sent.includes(Buffer.alloc(28, 255)), 'a row of pixels left the device')
    for (const secret of [folder.path, 'images.idx', 'root:', 'datasets.json'])
      assert.ok(!sent.includes(secret), `${secret} left the device`)
  }

  test('takes no work whose names are paths or whose numbers are out of range, and asks for nothing of it', () =>
    withstands(async node => {
      const chosen = hostileChanges.filter((_, index) => index % 4 === 0 || index >= hostileChanges.length - 14)
      let next = 0
      node.answerCheckIn = () => {
        const [name, change] = chosen[next] ?? []
        if (name === undefined || change === undefined) return assign({})
        next += 1
        return assign({ training: offer(next, name, change) })
      }
      await node.until('all are declared', () => declared(node).size === chosen.length, 60)
      assert.deepEqual(new Set(declared(node).values()), new Set(['WORK_UNSUPPORTED']))
      assert.equal(node.pulls.length, 0)
      assert.equal(node.pushes.length, 0)
    }))

  test('serves nothing whose names are paths, and settles nothing by them', () =>
    withstands(async (node, { deployments }) => {
      const [weights, manifest, graph] = [infoOf(bundle.weights), infoOf(bundle.manifest), infoOf(bundle.graph)]
      const id = '0190b5a0-0000-7000-8000-0000000000b1'
      const honest = { deployment: id, revision: 1, model: id, modelName: 'm', version: id, versionNumber: 1 }
      const offers = hostileNames.flatMap(name =>
        [{ deployment: name }, { model: name }, { version: name }, { weights: { sha256: name, bytes: 1n } }].map(
          wrong => create(DeploymentSchema, { ...honest, token: 'token', weights, manifest, graph, ...wrong }),
        ),
      )
      const settled = hostileNames.map(task => ({ attempt: { task, round: 1, attempt: 1 }, outcome: task }))
      const seen = node.checkIns.length
      node.answerCheckIn = () => assign({ deployments: offers, settled })
      await node.until('some answers', () => node.checkIns.length >= seen + 5, 60)
      assert.equal(node.pulls.length, 0)
      assert.deepEqual(deployments.states, [])
    }))

  test('trains no model that asks for files, code or more memory than there is', () =>
    withstands(async node => {
      const rssBefore = process.memoryUsage().rss
      const codes = new Map<string, string | undefined>()
      for (const [index, [name, make]] of Object.entries(hostileModels).entries()) {
        const model = make()
        publish(node, model)
        node.training = offer(index, name, work => {
          Object.assign(work.base ?? {}, infoOf(model.weights))
          Object.assign(work.manifest ?? {}, infoOf(model.manifest))
          Object.assign(work.graph ?? {}, infoOf(model.graph))
        })
        await node.until(name, () => declared(node).has(name), 60)
        codes.set(name, declared(node).get(name))
        assert.equal(node.pushes.length, 0, name)
      }
      assert.deepEqual(new Set(codes.values()), new Set(['MODEL_UNSUPPORTED']), JSON.stringify([...codes]))
      assert.equal(({} as { polluted?: boolean }).polluted, undefined)
      const grown = process.memoryUsage().rss - rssBefore
      assert.ok(grown < 300e6, `${grown} bytes more`)
    }))

  test('gives up on streams that end early, go on, stand still or bring something else, and keeps none of them', () =>
    withstands(async (node, { stateDir }) => {
      const mebibyte = new Uint8Array(256 * 1024).fill(7)
      const answers = {
        longer: () => [bundle.weights.subarray(0, 500_000), bundle.weights.subarray(0, 500_000)],
        forged: () => [mebibyte, mebibyte, mebibyte],
        empty: () => [],
        still: () => undefined,
      }
      for (const [index, [name, stream]] of Object.entries(answers).entries()) {
        const asked = node.pulls.length
        node.answerPull = stream
        node.training = offer(index, name, () => {})
        await node.until(name, () => node.pulls.length > asked, 60)
        const seen = node.checkIns.length
        await node.until('check-ins beside it', () => node.checkIns.length >= seen + 3, 60)
      }
      node.training = undefined
      await node.until('nothing runs', () => node.checkIns.at(-1)?.running.length === 0, 60)
      const kept = await readdir(join(stateDir, 'objects'))
      assert.deepEqual(
        kept.filter(name => !/^[0-9a-f]{64}(?:\.partial)?$/.test(name)),
        [],
      )
      assert.equal(node.pushes.length, 0)
    }))

  test('checks in at its own pace, whatever notices and redirects come', () =>
    withstands(async (node, { agent }) => {
      const started = performance.now()
      const seen = node.checkIns.length
      let notices = 0
      const flood = setInterval(() => {
        for (let count = 0; count < 1_000; count += 1) agent.notice()
        notices += 1_000
      }, 1)
      node.answerCheckIn = () => answer({ case: 'redirect', value: redirect(node.checkIns.length) })
      await node.until('many redirects', () => node.checkIns.length >= seen + 12, 60)
      clearInterval(flood)
      const mostCheckIns = (performance.now() - started) / 100 + 2
      assert.ok(node.checkIns.length - seen <= mostCheckIns, 'no two within 100 ms')
      assert.ok(notices > 10 * mostCheckIns)
      assert.equal(agent.status.node.endpoint, node.endpoint)
    }))

  test('survives answers that no contract knows', () =>
    withstands(async (node, { agent }) => {
      const unknown = (wireType: number, data: Uint8Array): CheckInResponse => {
        const response = assign({ training: offer(900_000 + node.checkIns.length, 'token', () => {}) })
        return Object.assign(response, { $unknown: [{ no: 100, wireType, data }] })
      }
      const strange: CheckInResponse[] = [
        create(CheckInResponseSchema, {}),
        // Groups within groups, which never end: [(100 << 3) | 3] = a3 06.
        unknown(3, Buffer.alloc(200_000, Buffer.from([0xa3, 0x06]))),
        // A length that is not there.
        unknown(2, Buffer.from([0xff, 0xff, 0xff, 0xff, 0x07])),
        // More than a message may have.
        unknown(2, Buffer.concat([Buffer.from([0x80, 0x80, 0x80, 0x01]), Buffer.alloc(2 ** 21)])),
        answer({ case: 'upgrade', value: upgrade }),
      ]
      for (const response of strange) {
        const seen = node.checkIns.length
        node.answerCheckIn = () => (node.checkIns.length === seen + 1 ? response : assign({}))
        await node.until('an answer', () => node.checkIns.length > seen, 60)
        // After an answer that it does not know the agent waits for a minute, or for a notice.
        agent.notice()
      }
      assert.equal(node.pulls.length, 0)
    }))
})

/** A redirect to somewhere else each time: to no host at all, or to what other schemes would open. */
const redirect = (turn: number): never => {
  const endpoints = [
    'file:///etc/passwd',
    'unix:/run/docker.sock',
    'dns:///localhost:1',
    'http://localhost:80',
    '\0',
    '',
  ]
  return {
    $typeName: 'tributary.fl.v1.Redirect',
    endpoint: endpoints[turn % endpoints.length],
    pauseMillis: 0,
  } as never
}

const upgrade = {
  $typeName: 'tributary.fl.v1.Upgrade',
  protocolMin: 7,
  protocolMax: 9,
  minVersion: '../../9'.repeat(1000),
} as const

/** Everything under the folder but the agent's own state, and what lies beside the folder. */
const filesOutside = async (folder: string): Promise<unknown> => {
  const inside = await readdir(folder, { recursive: true })
  const beside = await readdir(dirname(folder))
  return {
    inside: inside.filter(name => !name.startsWith('state')).sort(),
    beside: beside.filter(name => name.includes('escaped')),
    data: await readFile(join(folder, 'data/datasets.json'), 'utf8'),
  }
}
