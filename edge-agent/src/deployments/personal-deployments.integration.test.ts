import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
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
import { Datasets } from '../data/datasets.ts'
import { PolicyFile } from '../policy/policy-file.ts'
import { PolicyGate } from '../policy/policy-gate.ts'
import { LocalTensors, localTensorsFolder } from '../state/local-tensors.ts'
import { TestAuthority } from '../testing/certificates.ts'
import {
  type AgentSettings,
  bundle,
  device,
  identityOf,
  infoOf,
  publish,
  quietSituation,
  type RunningAgent,
  startAgent,
  task,
  temporaryFolder,
} from '../testing/federation.ts'
import { writeStripes } from '../testing/idx-files.ts'
import { TestNode } from '../testing/test-node.ts'
import { OnnxTrainer } from '../training/onnx-trainer.ts'
import { readOffer } from './deployment-offer.ts'
import { Personaliser } from './personal/personaliser.ts'

const id = (number: number): string => `0190b5a0-0000-7000-8000-${number.toString(16).padStart(12, '0')}`
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

/** Each is of a model of its own, so that nothing of the one before stays. */
const modelOf = (number: number): string => id(0xa00 + number)
const deployment = (number: number, fields: { task?: string; personalise?: Personalise } = {}) =>
  create(DeploymentSchema, {
    deployment: id(number),
    revision: 1,
    model: modelOf(number),
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

const silent = pino({ level: 'silent' })

const readBytes = async (file: string): Promise<Uint8Array> => new Uint8Array(await readFile(file))

/** One device, whose agent starts again with each test: processes are what takes time. */
suite('versions that are fitted to the device', { timeout: 400_000 }, () => {
  const resources = new AsyncDisposableStack()
  after(() => resources.disposeAsync())
  let authority: TestAuthority
  let node: TestNode
  let folder: string
  let trainer: OnnxTrainer
  let fits = 0
  before(async () => {
    authority = await TestAuthority.create()
    folder = resources.use(await temporaryFolder()).path
    node = resources.use(await TestNode.start(authority))
    trainer = resources.use(new OnnxTrainer())
    publish(node, bundle)
    await mkdir(join(folder, 'data'))
    await writeStripes(join(folder, 'data'), 100, false, data)
    const file = join(folder, 'data', 'datasets.json')
    const { datasets } = JSON.parse(await readFile(file, 'utf8'))
    const federated = { name: 'federated', normalise: { by: 'federated' }, split: { heldOut: 'f-held', share: 0.3 } }
    await writeFile(file, JSON.stringify({ datasets: [...datasets, { ...datasets[0], ...federated }] }))
  })

  const log = pino(
    { level: 'info' },
    {
      write: line => {
        if (line.includes('version is fitted to this device')) fits += 1
      },
    },
  )
  const start = async (settings: Partial<AgentSettings> = {}) => {
    node.checkIns.length = 0
    return startAgent(await identityOf(authority), [node.endpoint], {
      folder,
      keepData: true,
      log,
      trainer,
      ...settings,
    })
  }
  /** What the device says of a version, once it has said how fitting came out. */
  const outcome = async (
    number: number,
    wanted: (said: Personalised) => boolean = () => true,
  ): Promise<Personalised> => {
    const said = () =>
      node.checkIns.at(-1)?.deployments.find(({ deployment }) => deployment === id(number))?.personalised
    await node.until('an outcome', () => {
      const last = said()
      return last !== undefined && wanted(last)
    })
    return said() as Personalised
  }
  const policy = (content: object) => writeFile(join(folder, 'data', 'policy.json'), JSON.stringify(content))
  const files = async () => (await readdir(join(folder, 'state', 'deployments', 'objects'))).sort()
  const command = async (agent: RunningAgent, ...line: string[]) => {
    const said = { out: '', err: '' }
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
    const settings = { folder, environment: {}, output, signal }
    return { code: await runAgentCommand([...line, '--state-dir', agent.stateDir], settings), ...said }
  }
  const ask = async (port: number | undefined): Promise<number> => {
    const inputs = [{ name: 'image', datatype: 'FP32', shape: [1, 784], data: Array(784).fill(0.5) }]
    const url = `http://127.0.0.1:${port}/v2/models/digits/infer`
    return (await fetch(url, { method: 'POST', body: JSON.stringify({ inputs }) })).status
  }
  const weightsServed = (agent: RunningAgent, number: number) => agent.deployments.serving.get(modelOf(number))?.weights

  /** Weights of the first version, as they were fitted. */
  let fitted: { readonly sha256: string; readonly bytes: Uint8Array }

  test('the fitted version is served where it is better on held-out data, and nothing of it leaves', async () => {
    node.deployments = [deployment(1)]
    await using agent = await start({ inference: { address: { host: '127.0.0.1', port: 0 } } })
    // Requests go on all the time: none of them fails by the swap.
    const answers: number[] = []
    let ended = false
    const asking = (async () => {
      await node.until('a version in service', () => agent.deployments.serving.size === 1)
      while (!ended) answers.push(await ask(agent.inference.port))
    })()
    const said = await outcome(1)
    ended = true
    await asking
    assert.equal(said.outcome, 'personal')
    assert.ok(said.examples !== undefined && said.examples > 10n && said.examples < 60n, `${said.examples} held out`)
    assert.ok((said.lossAfter as number) < (said.lossBefore as number))
    assert.ok((said.accuracyAfter as number) >= (said.accuracyBefore as number))
    const served = agent.deployments.serving.get(modelOf(1))
    assert.ok(served)
    assert.notEqual(served.weights.sha256, released)
    assert.equal(served.released?.sha256, released)
    assert.deepEqual([...new Set(answers)], [200])
    assert.equal(await ask(agent.inference.port), 200)
    const whole = [bundle.weights, bundle.manifest, bundle.graph].map(bytes => infoOf(bytes).sha256)
    assert.deepEqual(await files(), [...whole, served.weights.sha256].sort())
    assert.equal(node.uploads.size, 0)
    assert.equal(node.reports.length, 0)
    fitted = { sha256: served.weights.sha256, bytes: await readBytes(agent.deployments.fileOf(served.weights)) }
  })

  test('a restart goes on with what was fitted, and fits it no second time', async () => {
    await using agent = await start()
    assert.equal(weightsServed(agent, 1)?.sha256, fitted.sha256)
    await outcome(1)
    await node.until('more check-ins', () => node.checkIns.length > 3)
    assert.ok(node.checkIns.every(({ deployments }) => deployments[0]?.personalised?.outcome === 'personal'))
    assert.equal(fits, 1)
  })

  test('an owner who wants none of it is obeyed, and one who shares no metrics too', async () => {
    await policy({ personalise: false })
    {
      await using agent = await start()
      const said = await outcome(1, ({ outcome }) => outcome === 'refused')
      assert.deepEqual([said.code, said.detail], ['POLICY_REFUSED', 'Rule "personalise" of the owner\'s policy.'])
      assert.equal(weightsServed(agent, 1)?.sha256, released)
    }
    await policy({ share: { metrics: false } })
    await using agent = await start()
    const said = await outcome(1, ({ outcome }) => outcome === 'personal')
    assert.deepEqual([said.examples, said.lossBefore, said.lossAfter, said.accuracyAfter], Array(4).fill(undefined))
    // The same job gives the same bytes.
    assert.equal(weightsServed(agent, 1)?.sha256, fitted.sha256)
    await policy({})
  })

  test('what the owner has forgotten is served no more, and is not fitted again', async () => {
    const before = fits
    {
      await using agent = await start()
      await outcome(1)
      assert.equal((await command(agent, 'personal', '--forget-all')).code, 0)
    }
    await using agent = await start()
    assert.equal(weightsServed(agent, 1)?.sha256, released)
    const said = await outcome(1, ({ outcome }) => outcome === 'refused')
    assert.equal(said.detail, 'The owner of the device had it forgotten.')
    assert.equal((await files()).length, 3)
    assert.equal(fits, before)
  })

  test('without epochs the version gets what its task kept local here', async () => {
    node.deployments = [deployment(2, { task, personalise: wish({ localEpochs: 0 }) })]
    // The last layer of a version that has learnt the stripes.
    const own = [...decodeSafetensors(fitted.bytes)].filter(([name]) => name.startsWith('classifier.'))
    const local = await LocalTensors.open(localTensorsFolder(join(folder, 'state')), 2 ** 30)
    await local.keep({ task, round: 7 }, encodeSafetensors(own.map(([name, tensor]) => ({ ...tensor, name }))))
    await using agent = await start()
    assert.equal((await outcome(2)).outcome, 'personal')
    const weights = weightsServed(agent, 2)
    assert.ok(weights)
    const [mine, theirs, base] = [await readBytes(agent.deployments.fileOf(weights)), fitted.bytes, bundle.weights].map(
      file => decodeSafetensors(file),
    )
    for (const [name, { bytes }] of mine ?? []) {
      const expected = (name.startsWith('classifier.') ? theirs : base)?.get(name)?.bytes as Uint8Array
      assert.deepEqual(typedView(bytes, 'F32'), typedView(expected, 'F32'), name)
    }
  })

  test('an owner has a version fitted without anybody else asking for it or hearing of it, and undoes it', async () => {
    const { personalise: _, ...plain } = deployment(3)
    node.deployments = [create(DeploymentSchema, plain)]
    await using agent = await start()
    await node.until('a version in service', () => agent.deployments.serving.has(modelOf(3)))
    const before = fits
    const fineTune = ['fine-tune', '--model', 'digits', '--dataset', 'stripes']
    assert.equal((await command(agent, ...fineTune, '--epochs', '0.5')).code, 2)
    const unknown = await command(agent, 'fine-tune', '--model', 'birds', '--dataset', 'stripes', '--epochs', '3')
    assert.equal(unknown.code, 1)
    assert.match(unknown.err, /No model "birds" is deployed on this device: there are digits/)
    const wished = await command(agent, ...fineTune, '--epochs', '3', '--learning-rate', '0.1', '--batch-size', '10')
    assert.equal(wished.code, 0)
    await node.until('the fitted version', () => weightsServed(agent, 3)?.sha256 !== released)
    assert.equal(fits, before + 1)
    const told = node.checkIns.length
    await node.until('more check-ins', () => node.checkIns.length > told + 2)
    const said = node.checkIns.flatMap(({ deployments }) => deployments.filter(each => each.deployment === id(3)))
    assert.ok(said.every(({ personalised }) => personalised === undefined))
    assert.match((await command(agent, 'personal')).out, /digits version 1 +personal +loss/)
    assert.equal((await command(agent, 'fine-tune', '--model', 'digits', '--stop')).code, 0)
    await node.until('the released version', () => weightsServed(agent, 3)?.sha256 === released)
    assert.equal((await command(agent, 'fine-tune', '--model', 'digits', '--stop')).code, 1)
  })

  test('what is worse is not served, and data that waits for statistics of the federation is said to do so', async () => {
    node.deployments = [
      deployment(4, { personalise: wish({ learningRate: 30 }) }),
      deployment(5, { personalise: wish({ dataset: 'federated' }) }),
    ]
    await using agent = await start()
    const worse = await outcome(4)
    assert.ok(worse.outcome === 'global' || worse.code === 'TRAINING_DIVERGED', `${worse.outcome} ${worse.code}`)
    const missing = await outcome(5)
    assert.deepEqual([missing.outcome, missing.code], ['failed', 'DATASET_UNUSABLE'])
    assert.match(missing.detail, /^STATISTICS_MISSING: /)
    for (const number of [4, 5]) assert.equal(weightsServed(agent, number)?.sha256, released)
    assert.equal((await files()).length, 3)
  })

  test('a wish that this device cannot fulfil fails by name', async () => {
    const personaliser = new Personaliser({
      datasets: await Datasets.open(join(folder, 'data'), {
        maxBytes: 2 ** 30,
        cacheDir: join(folder, 'state', 'datasets'),
      }),
      trainer,
      local: { newest: async () => undefined },
      policy: new PolicyGate({
        file: new PolicyFile(join(folder, 'data')),
        situation: quietSituation,
        log: silent,
      }),
      log: silent,
    })
    const files = new Map(Object.values(bundle).map(bytes => [infoOf(bytes).sha256, bytes]))
    for (const [fields, code, detail] of [
      // What is held out of the data set of that name is nothing.
      [{ dataset: 'stripes-held' }, 'DATASET_UNUSABLE', /^HELD_OUT$/],
      [{ dataset: 'elsewhere', heldOut: 'stripes-held' }, 'DATASET_UNUSABLE', /^DATASET_UNKNOWN$/],
      [{ optimizer: 'magic' }, 'WORK_UNSUPPORTED', /optimizer/],
      [{ localEpochs: 1_000_000_000 }, 'WORK_UNSUPPORTED', /localEpochs/],
      [{ batchSize: 2 ** 31 - 1 }, 'WORK_UNSUPPORTED', /batchSize/],
      [{ learningRate: Number.NaN }, 'WORK_UNSUPPORTED', /learningRate/],
      [{ frozen: ['nothing.*'] }, 'WORK_UNSUPPORTED', /nothing\.\*/],
    ] as const) {
      const message = deployment(6, {
        personalise: wish({ ...fields, frozen: 'frozen' in fields ? [...fields.frozen] : [] }),
      })
      const { token: _, personalise = assert.fail('it is asked for'), ...offer } = readOffer(message, 2 ** 26)
      const read = async ({ sha256 }: { sha256: string }) => files.get(sha256) ?? assert.fail(sha256)
      const { signal } = new AbortController()
      const { record, weights } = await personaliser.decide(
        { ...offer, personalise, own: false },
        read,
        undefined,
        signal,
      )
      assert.deepEqual([record.result.outcome, record.result.code, weights], ['failed', code, undefined])
      assert.match(record.result.detail ?? '', detail)
      assert.equal(record.result.metrics, undefined)
    }
  })
})
