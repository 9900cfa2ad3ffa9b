import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { type Deployment, DeploymentSchema } from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import { mcmahan2nn } from '@tributary/onnx-train/models/mcmahan'
import { decodeSafetensors, encodeSafetensors } from '@tributary/tensors/safetensors/file'
import { TestAuthority } from '../testing/certificates.ts'
import {
  type AgentSettings,
  type Bundle,
  bundle,
  bundleOf,
  device,
  identityOf,
  infoOf,
  publish,
  startAgent,
  temporaryFolder,
} from '../testing/federation.ts'
import { TestNode } from '../testing/test-node.ts'

const id = (number: number) => `0190b5a0-0000-7000-8000-${number.toString(16).padStart(12, '0')}`
const model = id(0xabc)
const second = bundleOf(mcmahan2nn(2))
/** The same model with one weight that is no number. */
const broken: Bundle = (() => {
  const tensors = [...decodeSafetensors(bundle.weights)].map(([name, tensor], index) => {
    const bytes = tensor.bytes.slice()
    if (index === 0) new Float32Array(bytes.buffer, bytes.byteOffset, 1)[0] = Number.NaN
    return { ...tensor, name, bytes }
  })
  return { ...bundle, weights: encodeSafetensors(tensors) }
})()

const deployment = (number: number, files: Bundle, fields: { revision?: number; groups?: string[] } = {}): Deployment =>
  create(DeploymentSchema, {
    deployment: id(number),
    revision: 1,
    model,
    modelName: 'digits',
    version: id(1000 + number),
    versionNumber: number,
    token: `token|${device}`,
    weights: infoOf(files.weights),
    manifest: infoOf(files.manifest),
    graph: infoOf(files.graph),
    ...fields,
  })

/** The file of the good version with this hash. */
const bundleFile = (sha256: string | undefined): Uint8Array => {
  const found = Object.values(bundle).find(bytes => infoOf(bytes).sha256 === sha256)
  assert.ok(found)
  return found
}

let authority: TestAuthority
before(async () => {
  authority = await TestAuthority.create()
})

const resources = new AsyncDisposableStack()
after(() => resources.disposeAsync())

const begin = async (settings: Partial<AgentSettings> = {}) => {
  const folder = resources.use(await temporaryFolder())
  const node = resources.use(await TestNode.start(authority))
  for (const files of [bundle, second, broken]) publish(node, files)
  const start = async () =>
    startAgent(await identityOf(authority), [node.endpoint], { folder: folder.path, ...settings })
  /** Waits until the last check-in says exactly this. */
  const says = (...wanted: string[]) =>
    node.until(wanted.join(), () => {
      const said = node.checkIns
        .at(-1)
        ?.deployments.map(
          ({ deployment, revision, state }) => `${Number.parseInt(deployment.slice(-12), 16)} r${revision} ${state}`,
        )
      return JSON.stringify(said) === JSON.stringify(wanted)
    })
  const files = async () => (await readdir(join(folder.path, 'state', 'deployments', 'objects'))).sort()
  return { node, start, says, files, folder: folder.path }
}
const shaOf = (...files: Uint8Array[]) => [...new Set(files.map(bytes => infoOf(bytes).sha256))].sort()

test('a released version is pulled, checked and in service; the next takes its place, and a broken one never does', {
  timeout: 60_000,
}, async () => {
  const { node, start, says, files } = await begin()
  await using agent = await start()
  let changes = 0
  agent.deployments.onChange(() => {
    changes += 1
  })
  const versions = () => [...agent.deployments.serving.values()].map(({ versionNumber }) => versionNumber)
  node.deployments = [deployment(1, bundle)]
  await says('1 r1 serving')
  assert.ok(node.checkIns.some(({ deployments }) => deployments[0]?.state === 'pulling'))
  assert.deepEqual([versions(), changes], [[1], 1])
  const [served] = [...agent.deployments.serving.values()]
  assert.ok(served)
  assert.deepEqual(new Uint8Array(await readFile(agent.deployments.fileOf(served.weights))), bundle.weights)

  node.deployments = [deployment(2, broken)]
  await says('2 r1 unhealthy')
  const detail = node.checkIns.at(-1)?.deployments[0]?.detail
  assert.equal(detail, 'MODEL_UNSUPPORTED: The model gives numbers that are not finite for a sample input.')
  assert.deepEqual([versions(), changes], [[1], 1])
  node.deployments = [deployment(1, bundle, { revision: 3 })]
  await says('1 r3 serving', '2 r1 rolled-back')

  node.deployments = [deployment(3, second)]
  await says('3 r1 serving', '2 r1 rolled-back')
  assert.deepEqual(versions(), [3])
  assert.deepEqual(
    await files(),
    shaOf(...Object.values(bundle), ...Object.values(second)),
    'the version before stays for a roll back',
  )
  const pulls = node.pulls.length
  node.deployments = [deployment(1, bundle, { revision: 5 })]
  await says('1 r5 serving', '2 r1 rolled-back', '3 r1 rolled-back')
  assert.equal(node.pulls.length, pulls, 'the roll back pulled nothing')
  node.deployments = []
  await says('2 r1 rolled-back', '3 r1 rolled-back', '1 r5 rolled-back')
  assert.deepEqual(versions(), [])
  await node.until('two more check-ins', () => node.checkIns.length > 2)
  while ((await files()).length > 0) await new Promise(resolve => setTimeout(resolve, 20))
})

test('a restart goes on with what is in service without a pull, and pulls what the disk lost', {
  timeout: 60_000,
}, async () => {
  const { node, start, says, folder } = await begin()
  node.deployments = [deployment(1, bundle)]
  {
    await using _agent = await start()
    await says('1 r1 serving')
  }
  node.checkIns.length = 0
  const pulls = node.pulls.length
  {
    await using agent = await start()
    await says('1 r1 serving')
    assert.ok(node.checkIns.every(({ deployments }) => deployments[0]?.state === 'serving'))
    assert.deepEqual([node.pulls.length, agent.deployments.serving.size], [pulls, 1])
  }
  await rm(join(folder, 'state', 'deployments', 'objects', infoOf(bundle.weights).sha256))
  node.checkIns.length = 0
  await using _again = await start()
  await says('1 r1 serving')
  assert.ok(node.checkIns.some(({ deployments }) => deployments[0]?.state === 'pulling'))
  assert.equal(node.pulls.length, pulls + 1)
})

test("what the owner's policy does not allow is neither pulled nor served, and the node is told by which rule", {
  timeout: 120_000,
}, async () => {
  const { node, start, says, folder } = await begin()
  await mkdir(join(folder, 'data'))
  const allow = (deployments: object) => writeFile(join(folder, 'data', 'policy.json'), JSON.stringify({ deployments }))
  const detail = () => node.checkIns.at(-1)?.deployments[0]?.detail
  await allow({ models: { deny: ['dig*'] } })
  node.deployments = [deployment(1, bundle)]
  await using agent = await start()
  await says('1 r1 refused')
  assert.equal(detail(), 'POLICY_REFUSED: rule "deployments.models.deny" of the owner\'s policy.')
  assert.deepEqual([node.pulls, agent.deployments.serving.size], [[], 0])

  await allow({ diskMegabytes: 0 })
  await node.until('another rule', () => detail()?.includes('"deployments.diskMegabytes"') === true, 60)
  assert.deepEqual(node.pulls, [])
  await allow({ diskMegabytes: 3, groups: { allow: ['labs'] } })
  node.deployments = [deployment(1, bundle, { groups: ['labs'] })]
  await node.until('a version in service', () => node.checkIns.at(-1)?.deployments[0]?.state === 'serving', 60)
  const pulls = node.pulls.length
  const { model: served } = [...agent.deployments.serving.values()][0] ?? {}
  assert.equal(served, model)

  // What is in service goes out of it, and comes back without a pull.
  let changes = 0
  agent.deployments.onChange(() => {
    changes += 1
  })
  await allow({ hours: { timeZone: 'UTC', windows: [{ from: inMinutes(120), to: inMinutes(180) }] } })
  await node.until('it is refused', () => node.checkIns.at(-1)?.deployments[0]?.state === 'refused', 60)
  assert.match(detail() ?? '', /"deployments\.hours"/)
  assert.deepEqual([agent.deployments.serving.size, changes], [0, 1])
  await allow({})
  await node.until('it is back', () => node.checkIns.at(-1)?.deployments[0]?.state === 'serving', 60)
  assert.deepEqual([agent.deployments.serving.size, node.pulls.length], [1, pulls])
})

const inMinutes = (minutes: number): string => new Date(Date.now() + minutes * 60_000).toISOString().slice(11, 16)

test('what comes from elsewhere is pulled again until it is whole, and is no fault of the version', {
  timeout: 60_000,
}, async () => {
  const { node, start, says } = await begin()
  let refusals = 0
  node.answerPull = () => {
    refusals += 1
    if (refusals > 6) node.answerPull = undefined
    return 'UNAVAILABLE'
  }
  node.deployments = [deployment(1, bundle)]
  await using _agent = await start()
  await says('1 r1 serving')
  assert.ok(refusals > 6)
  assert.ok(node.checkIns.every(({ deployments }) => deployments.every(({ state }) => state !== 'unhealthy')))
})

test('a pull that was cut goes on where it stopped, also in the next process', {
  timeout: 60_000,
}, async () => {
  const { node, start, says } = await begin()
  const { sha256 } = infoOf(bundle.weights)
  const sentOnce = bundle.weights.slice(0, 300_000)
  node.deployments = [deployment(1, bundle)]
  // Of the weights a part comes, then the node stands still.
  node.answerPull = () => {
    const last = node.pulls.at(-1)
    if (last?.sha256 !== sha256) return [bundleFile(last?.sha256)]
    return last.offset === 0 ? [sentOnce] : undefined
  }
  {
    await using _agent = await start()
    await node.until('the weights resume', () => node.pulls.some(pull => pull.offset > 0))
  }
  node.answerPull = undefined
  const before = node.pulls.length
  await using _again = await start()
  await says('1 r1 serving')
  assert.deepEqual(node.pulls.slice(before), [{ sha256, offset: sentOnce.length }])
})

test('a version beyond the room of the device is named so, and what is malformed is left alone', {
  timeout: 60_000,
}, async () => {
  const { node, start, says } = await begin({ deployedBytes: 900_000 })
  await using agent = await start()
  node.deployments = [
    create(DeploymentSchema, { ...deployment(7, bundle), deployment: '../../etc' }),
    deployment(1, bundle),
  ]
  await says('1 r1 serving')
  node.deployments = [deployment(2, second)]
  await says('2 r1 unhealthy')
  assert.match(node.checkIns.at(-1)?.deployments[0]?.detail ?? '', /room for 900000 bytes/)
  assert.equal(agent.deployments.serving.get(model)?.versionNumber, 1)
})

test('a version that fails with real requests goes back by itself, and the node hears of it', {
  timeout: 60_000,
}, async () => {
  const { node, start, says } = await begin({ inference: { address: { host: '127.0.0.1', port: 0 } } })
  await using agent = await start()
  node.deployments = [deployment(1, bundle)]
  await says('1 r1 serving')
  node.deployments = [deployment(2, second)]
  await says('2 r1 serving')
  const ask = async (value: number) => {
    const inputs = [{ name: 'image', datatype: 'FP32', shape: [1, 784], data: Array(784).fill(value) }]
    const url = `http://127.0.0.1:${agent.inference.port}/v2/models/digits/infer`
    const answer = await fetch(url, { method: 'POST', body: JSON.stringify({ inputs }) })
    return [answer.status, ((await answer.json()) as { model_version?: string; code?: string }).model_version]
  }
  assert.deepEqual(await ask(0.5), [200, '2'])
  // Finite themselves, these overflow in any version; five of them are enough.
  for (let count = 0; count < 5; count++) assert.deepEqual(await ask(3e38), [500, undefined])
  await says('2 r1 unhealthy')
  const detail = node.checkIns.at(-1)?.deployments[0]?.detail
  assert.equal(detail, '5 of 6 requests within a minute failed in the runtime or gave numbers that are not finite.')
  assert.deepEqual(await ask(0.5), [200, '1'])
  assert.equal(agent.deployments.serving.get(model)?.versionNumber, 1)
})
