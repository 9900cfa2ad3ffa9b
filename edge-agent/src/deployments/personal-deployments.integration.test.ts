import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import {
  DeploymentSchema,
  type Personalise,
  type Personalised,
  PersonaliseSchema,
} from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import { decodeSafetensors, encodeSafetensors } from '@tributary/tensors/safetensors/file'
import { typedView } from '@tributary/tensors/view'
import { pino } from 'pino'
import { runAgentCommand } from '../commands/agent/run-agent-command.ts'
import { TestAuthority } from '../testing/certificates.ts'
import {
  type AgentSettings,
  bundle,
  device,
  identityOf,
  infoOf,
  publish,
  startAgent,
  task,
  temporaryFolder,
} from '../testing/federation.ts'
import { TestNode } from '../testing/test-node.ts'

const id = (number: number): string => `0190b5a0-0000-7000-8000-${number.toString(16).padStart(12, '0')}`
const model = id(0xabc)
const released = infoOf(bundle.weights).sha256

/** The stripes of every class are in both parts, so that what is learnt of one helps with the other. */
const data = { split: { heldOut: 'stripes-held', share: 0.3 } }

const wish = (fields: MessageInitShape<typeof PersonaliseSchema> = {}) =>
  create(PersonaliseSchema, {
    dataset: 'stripes',
    localEpochs: 3,
    batchSize: 10,
    learningRate: 0.1,
    optimizer: 'sgd',
    ...fields,
  })

const deployment = (fields: { deployment?: string; task?: string; personalise?: Personalise } = {}) =>
  create(DeploymentSchema, {
    deployment: id(1),
    revision: 1,
    model,
    modelName: 'digits',
    version: id(0x1001),
    versionNumber: 1,
    token: `token|${device}`,
    weights: infoOf(bundle.weights),
    manifest: infoOf(bundle.manifest),
    graph: infoOf(bundle.graph),
    personalise: wish(),
    ...fields,
  })

const readBytes = async (file: string): Promise<Uint8Array> => new Uint8Array(await readFile(file))

suite('versions that are fitted to the device', { timeout: 400_000 }, () => {
  let authority: TestAuthority
  before(async () => {
    authority = await TestAuthority.create()
  })
  const resources = new AsyncDisposableStack()
  after(() => resources.disposeAsync())

  const begin = async (settings: Partial<AgentSettings> = {}) => {
    const folder = resources.use(await temporaryFolder())
    const node = resources.use(await TestNode.start(authority))
    publish(node, bundle)
    node.deployments = [deployment()]
    let fits = 0
    const log = pino(
      { level: 'info' },
      {
        write: line => {
          if (line.includes('version is fitted to this device')) fits += 1
        },
      },
    )
    let keepData = false
    const start = async () => {
      const settled = { keepData }
      keepData = true
      return startAgent(await identityOf(authority), [node.endpoint], {
        folder: folder.path,
        examples: 100,
        data,
        ...settled,
        log,
        inference: { address: { host: '127.0.0.1', port: 0 } },
        ...settings,
      })
    }
    /** What the device says of its version, once it has said how fitting came out. */
    const outcome = async (wanted: (said: Personalised) => boolean = () => true): Promise<Personalised> => {
      const said = () => node.checkIns.at(-1)?.deployments[0]?.personalised
      await node.until('an outcome', () => {
        const last = said()
        return last !== undefined && wanted(last)
      })
      return said() as Personalised
    }
    const policy = (content: object) => writeFile(join(folder.path, 'data', 'policy.json'), JSON.stringify(content))
    const files = async () => (await readdir(join(folder.path, 'state', 'deployments', 'objects'))).sort()
    return { node, start, outcome, policy, files, fits: () => fits, folder: folder.path }
  }

  const ask = async (port: number | undefined): Promise<number> => {
    const inputs = [{ name: 'image', datatype: 'FP32', shape: [1, 784], data: Array(784).fill(0.5) }]
    const url = `http://127.0.0.1:${port}/v2/models/digits/infer`
    return (await fetch(url, { method: 'POST', body: JSON.stringify({ inputs }) })).status
  }

  test('the fitted version is served where it is better on held-out data, and nothing of it leaves', async () => {
    const { node, start, outcome, files } = await begin()
    await using agent = await start()
    // Requests go on all the time: none of them fails by the swap.
    const answers: number[] = []
    let ended = false
    const asking = (async () => {
      await node.until('a version in service', () => agent.deployments.serving.size === 1)
      while (!ended) answers.push(await ask(agent.inference.port))
    })()
    const said = await outcome()
    ended = true
    await asking
    assert.equal(said.outcome, 'personal')
    assert.ok(said.examples !== undefined && said.examples > 10n && said.examples < 60n, `${said.examples} held out`)
    assert.ok((said.lossAfter as number) < (said.lossBefore as number))
    assert.ok((said.accuracyAfter as number) >= (said.accuracyBefore as number))
    const served = agent.deployments.serving.get(model)
    assert.notEqual(served?.weights.sha256, released)
    assert.equal(served?.released?.sha256, released)
    assert.deepEqual([...new Set(answers)], [200])
    assert.equal(await ask(agent.inference.port), 200)
    const whole = [bundle.weights, bundle.manifest, bundle.graph].map(bytes => infoOf(bytes).sha256)
    assert.deepEqual(await files(), [...whole, served?.weights.sha256].sort())
    assert.equal(node.uploads.size, 0)
    assert.equal(node.reports.length, 0)
  })

  test('a restart goes on with what was fitted, and fits it no second time', async () => {
    const { node, start, outcome, fits } = await begin()
    let fitted: string | undefined
    {
      await using agent = await start()
      await outcome()
      fitted = agent.deployments.serving.get(model)?.weights.sha256
    }
    node.checkIns.length = 0
    await using agent = await start()
    assert.equal(agent.deployments.serving.get(model)?.weights.sha256, fitted)
    await outcome()
    await node.until('more check-ins', () => node.checkIns.length > 3)
    assert.ok(node.checkIns.every(({ deployments }) => deployments[0]?.personalised?.outcome === 'personal'))
    assert.equal(fits(), 1)
  })

  test('what is worse is not served: the version stays as it was released', async () => {
    const { node, start, outcome, files } = await begin()
    node.deployments = [deployment({ personalise: wish({ learningRate: 30 }) })]
    await using agent = await start()
    const said = await outcome()
    assert.ok(said.outcome === 'global' || said.code === 'TRAINING_DIVERGED', `${said.outcome} ${said.code}`)
    assert.equal(agent.deployments.serving.get(model)?.weights.sha256, released)
    assert.equal((await files()).length, 3)
  })

  test('a wish that this device cannot fulfil fails by name, and the version is served as it was released', async () => {
    const { node, start, outcome } = await begin()
    await using agent = await start()
    await outcome()
    for (const [number, fields, code, detail] of [
      // What is held out of the data set of that name is nothing.
      [2, { dataset: 'stripes-held' }, 'DATASET_UNUSABLE', /^HELD_OUT$/],
      [3, { dataset: 'elsewhere', heldOut: 'stripes-held' }, 'DATASET_UNUSABLE', /^DATASET_UNKNOWN$/],
      [4, { optimizer: 'magic' }, 'WORK_UNSUPPORTED', /optimizer/],
      [5, { frozen: ['nothing.*'] }, 'WORK_UNSUPPORTED', /nothing\.\*/],
    ] as const) {
      node.deployments = [
        deployment({
          deployment: id(number),
          personalise: wish({ ...fields, frozen: 'frozen' in fields ? [...fields.frozen] : [] }),
        }),
      ]
      await node.until(`deployment ${number}`, () => node.checkIns.at(-1)?.deployments[0]?.deployment === id(number))
      const said = await outcome(({ outcome }) => outcome === 'failed')
      assert.equal(said.code, code)
      assert.match(said.detail, detail)
      assert.equal(said.examples, undefined)
      assert.equal(agent.deployments.serving.get(model)?.weights.sha256, released)
      node.checkIns.length = 0
    }
  })

  test('an owner who wants none of it is obeyed, before and after, and one who shares no metrics too', async () => {
    const { start, outcome, policy } = await begin()
    {
      await using agent = await start()
      await outcome()
      assert.notEqual(agent.deployments.serving.get(model)?.weights.sha256, released)
    }
    await policy({ personalise: false })
    {
      await using agent = await start()
      const said = await outcome(({ outcome }) => outcome === 'refused')
      assert.deepEqual([said.code, said.detail], ['POLICY_REFUSED', 'Rule "personalise" of the owner\'s policy.'])
      assert.equal(agent.deployments.serving.get(model)?.weights.sha256, released)
    }
    await policy({ share: { metrics: false } })
    await using _agent = await start()
    const said = await outcome(({ outcome }) => outcome === 'personal')
    assert.deepEqual([said.examples, said.lossBefore, said.lossAfter, said.accuracyAfter], Array(4).fill(undefined))
  })

  test('what the owner has forgotten is served no more, and is not fitted again', async () => {
    const { start, outcome, files, fits, folder } = await begin()
    {
      await using agent = await start()
      await outcome()
      const line = ['personal', '--forget-all', '--state-dir', agent.stateDir]
      const output = { out: () => {}, err: () => {}, columns: undefined }
      const { signal } = new AbortController()
      assert.equal(await runAgentCommand(line, { folder, environment: {}, output, signal }), 0)
    }
    await using agent = await start()
    assert.equal(agent.deployments.serving.get(model)?.weights.sha256, released)
    const said = await outcome(({ outcome }) => outcome === 'refused')
    assert.equal(said.detail, 'The owner of the device had it forgotten.')
    assert.equal((await files()).length, 3)
    assert.equal(fits(), 1)
  })

  test('an owner has a version fitted without anybody else asking for it or hearing of it, and undoes it', async () => {
    const { node, start, folder, fits } = await begin()
    const { personalise: _, ...plain } = deployment()
    node.deployments = [create(DeploymentSchema, plain)]
    await using agent = await start()
    await node.until('a version in service', () => agent.deployments.serving.size === 1)
    const said = { out: '', err: '' }
    const call = async (...line: string[]) => {
      const output = {
        out: (text: string) => {
          said.out += text
        },
        err: (text: string) => {
          said.err += text
        },
        columns: undefined,
      }
      const { signal } = new AbortController()
      return runAgentCommand([...line, '--state-dir', agent.stateDir], { folder, environment: {}, output, signal })
    }
    const fineTune = ['fine-tune', '--model', 'digits', '--dataset', 'stripes']
    assert.equal(await call(...fineTune, '--epochs', '0.5'), 2)
    assert.equal(await call('fine-tune', '--model', 'birds', '--dataset', 'stripes', '--epochs', '3'), 1)
    assert.match(said.err, /No model "birds" is deployed on this device: there are digits/)
    assert.equal(await call(...fineTune, '--epochs', '3', '--learning-rate', '0.1', '--batch-size', '10'), 0)
    await node.until('the fitted version', () => agent.deployments.serving.get(model)?.weights.sha256 !== released)
    assert.equal(fits(), 1)
    const told = node.checkIns.length
    await node.until('more check-ins', () => node.checkIns.length > told + 2)
    assert.ok(node.checkIns.every(({ deployments }) => deployments[0]?.personalised === undefined))
    await call('personal')
    assert.match(said.out, /digits version 1 +personal +loss/)
    assert.equal(await call('fine-tune', '--model', 'digits', '--stop'), 0)
    await node.until('the released version', () => agent.deployments.serving.get(model)?.weights.sha256 === released)
    assert.equal(await call('fine-tune', '--model', 'digits', '--stop'), 1)
  })

  test('without epochs the version gets what its task kept local here', async () => {
    const { node, start, outcome } = await begin()
    // The last layer of a version that has learnt the stripes.
    let learnt: Uint8Array | undefined
    {
      await using agent = await start()
      await outcome()
      const { weights } = agent.deployments.serving.get(model) ?? {}
      assert.ok(weights)
      learnt = await readBytes(agent.deployments.fileOf(weights))
      const own = [...decodeSafetensors(learnt)].filter(([name]) => name.startsWith('classifier.'))
      await agent.local.keep({ task, round: 7 }, encodeSafetensors(own.map(([name, tensor]) => ({ ...tensor, name }))))
    }
    node.deployments = [
      deployment({
        deployment: id(2),
        task,
        personalise: wish({ localEpochs: 0 }),
      }),
    ]
    node.checkIns.length = 0
    await using agent = await start()
    await node.until('the other deployment', () =>
      (node.checkIns.at(-1)?.deployments ?? []).some(
        ({ deployment, personalised }) => deployment === id(2) && personalised?.outcome === 'personal',
      ),
    )
    const { weights } = agent.deployments.serving.get(model) ?? {}
    assert.ok(weights)
    const [mine, theirs, base] = [await readBytes(agent.deployments.fileOf(weights)), learnt, bundle.weights].map(
      file => decodeSafetensors(file),
    )
    for (const [name, { bytes }] of mine ?? []) {
      const expected = (name.startsWith('classifier.') ? theirs : base)?.get(name)?.bytes as Uint8Array
      assert.deepEqual(typedView(bytes, 'F32'), typedView(expected, 'F32'), name)
    }
  })
})
