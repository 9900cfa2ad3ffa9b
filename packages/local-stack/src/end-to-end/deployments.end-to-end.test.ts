import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { CreateDeployment, DeploymentDetail } from '@tributary/contracts/deployments'
import { extractWeights } from '@tributary/onnx-train/extract-weights'
import { mcmahan2nn } from '@tributary/onnx-train/models/mcmahan'
import { readModel } from '@tributary/onnx-train/read-model'
import { withoutWeights } from '@tributary/onnx-train/without-weights'
import { writeModel } from '@tributary/onnx-train/write-model'
import { encodeSafetensors } from '@tributary/tensors/safetensors/file'
import type * as z from 'zod'
import { ApiClient } from '../platform/api-client.ts'
import { type StackRun, startStack } from '../testing/stack-run.ts'

const portBase = 26_000
/** Four trainers and the evaluator. */
const devices = 5
let stateDir: string
let run: StackRun
let api: ApiClient
let model: string
let modelName: string
let start: string
let trained: string

before(async () => {
  stateDir = await mkdtemp(join(tmpdir(), 'tributary-e2e-'))
  run = startStack(['--json', '--devices', '4', '--rounds', '1'], { stateDir, portBase })
  await run.untilLine(/Serving until Ctrl-C/, 240)
  const token = (await run.untilLine(/operator +(trib_\S+)/, 1))[1] ?? ''
  api = new ApiClient(`http://127.0.0.1:${portBase + 1}`, token)
  const [known] = (await api.call('listModels')).items
  model = known?.id ?? ''
  modelName = known?.name ?? ''
  const versions = (await api.call('listVersions', { params: { model } })).items
  start = versions.find(({ number }) => number === 0)?.id ?? ''
  trained = versions.find(({ number }) => number === 1)?.id ?? ''
})
after(async () => {
  await run[Symbol.asyncDispose]()
  await rm(stateDir, { recursive: true, force: true })
})

const deploy = async (version: string, fields: Partial<z.input<typeof CreateDeployment>> = {}): Promise<string> => {
  const stages = [{ share: 1, holdSeconds: 1, minimumServing: devices }]
  const { id } = await api.call('createDeployment', { body: { model, version, stages, ...fields } })
  return id
}
const until = async (deployment: string, what: string, holds: (detail: DeploymentDetail) => boolean) => {
  const deadline = Date.now() + 60_000
  for (;;) {
    const detail = await api.call('getDeployment', { params: { deployment } })
    if (holds(detail)) return detail
    if (Date.now() > deadline) throw new Error(`not ${what} after 60 s: ${JSON.stringify(detail)}`)
    await delay(100)
  }
}

/** Versions in service by what the agents keep on their disks. */
const versionsOnDisk = async (): Promise<number[]> => {
  // One folder a stack.
  const [stack = ''] = await readdir(stateDir)
  const folder = join(stateDir, stack, 'devices')
  const names = await readdir(folder)
  const pages = await Promise.all(
    names.map(name => readFile(join(folder, name, 'state', 'deployments', 'deployments.json'), 'utf8')),
  )
  return pages.map(page => JSON.parse(page).serving[0]?.versionNumber)
}

/** Version and number of outputs of a prediction for one digit, by the protocol of KServe, from the first device and the evaluator. */
const predictions = () =>
  Promise.all(
    [0, devices - 1].map(async agent => {
      const url = `http://127.0.0.1:${portBase + 100 + agent}/v2/models/${encodeURIComponent(modelName)}`
      const signal = AbortSignal.timeout(60_000)
      const { inputs } = (await (await fetch(url, { signal })).json()) as { inputs: { name: string }[] }
      const input = { name: inputs[0]?.name, datatype: 'FP32', shape: [1, 784], data: Array(784).fill(0.5) }
      const answer = await fetch(`${url}/infer`, { method: 'POST', body: JSON.stringify({ inputs: [input] }), signal })
      const { model_version: version, outputs } = (await answer.json()) as {
        model_version: string
        outputs: { shape: number[]; data: number[] }[]
      }
      assert.ok(outputs[0]?.data.every(Number.isFinite))
      return [answer.status, version, outputs[0]?.shape]
    }),
  )

/** A version that loads well and predicts nothing that is a number: its weights are finite, their products are not. */
const uploadBroken = async (): Promise<string> => {
  const onnx = readModel(mcmahan2nn(1), { maxBytes: 2 ** 24 })
  const tensors = extractWeights(onnx).tensors.map(tensor => ({
    ...tensor,
    bytes: new Uint8Array(new Float32Array(tensor.bytes.byteLength / 4).fill(3e38).buffer),
  }))
  const files = { weights: encodeSafetensors(tensors), graph: writeModel(withoutWeights(onnx)) }
  const declared = (bytes: Uint8Array) => ({
    sha256: createHash('sha256').update(bytes).digest('hex'),
    bytes: bytes.byteLength,
  })
  const { version, uploads } = await api.call('createVersion', {
    params: { model },
    body: { weights: declared(files.weights), graph: declared(files.graph) },
  })
  for (const name of ['weights', 'graph'] as const) {
    const upload = uploads[name]
    if (upload === undefined) continue
    const { url, headers } = upload
    const body = new Uint8Array(files[name])
    const sent = await fetch(url, { method: 'PUT', headers, body, signal: AbortSignal.timeout(20_000) })
    assert.ok(sent.ok, await sent.text())
  }
  await api.call('finaliseVersion', { params: { model, version } })
  return version
}

test('a released version reaches every device, a broken one goes back by itself, and so does one that is taken back', {
  timeout: 240_000,
}, async () => {
  const first = await deploy(start)
  const released = await until(first, 'released', ({ state }) => state === 'released')
  assert.deepEqual([released.fitting, released.counts.serving], [devices, devices])
  assert.deepEqual(await versionsOnDisk(), Array(devices).fill(0))
  assert.deepEqual(await predictions(), Array(2).fill([200, '0', [1, 10]]))

  const stages = [
    { share: 0.9, holdSeconds: 3600 },
    { share: 1, holdSeconds: 3600 },
  ]
  const broken = await deploy(await uploadBroken(), { stages })
  const back = await until(broken, 'rolled back', ({ state }) => state === 'rolled-back')
  assert.equal(back.reason?.code, 'UNHEALTHY')
  await until(broken, 'left by its devices', ({ counts }) => counts.rolledBack > 0 && counts.outdated === 0)
  const { items } = await api.call('listDeploymentDevices', { params: { deployment: broken } })
  assert.ok(
    items.some(({ detail }) => /not finite/.test(detail ?? '')),
    JSON.stringify(items),
  )
  assert.deepEqual(await versionsOnDisk(), Array(devices).fill(0), 'it was never in service')

  const second = await deploy(trained)
  await until(second, 'released', ({ state, counts }) => state === 'released' && counts.serving === devices)
  assert.deepEqual(await versionsOnDisk(), Array(devices).fill(1))
  assert.deepEqual(await predictions(), Array(2).fill([200, '1', [1, 10]]))
  assert.equal((await api.call('getDeployment', { params: { deployment: first } })).state, 'superseded')

  await api.call('rollBackDeployment', { params: { deployment: second } })
  await until(first, 'served again', ({ state, counts }) => state === 'released' && counts.serving === devices)
  await until(second, 'left by its devices', ({ counts }) => counts.rolledBack === devices)
  assert.deepEqual(await versionsOnDisk(), Array(devices).fill(0))
})
