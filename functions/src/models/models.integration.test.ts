import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, suite, test } from 'node:test'
import { extractWeights } from '@tributary/onnx-train/extract-weights'
import { mcmahan2nn } from '@tributary/onnx-train/models/mcmahan'
import { readModel } from '@tributary/onnx-train/read-model'
import { withoutWeights } from '@tributary/onnx-train/without-weights'
import { writeModel } from '@tributary/onnx-train/write-model'
import { encodeSafetensors } from '@tributary/tensors/safetensors/file'
import { testApi, testParts, tokens } from '../testing/test-api.ts'
import { startTestDatabase, type TestDatabase } from '../testing/test-database.ts'
import { startTestStore } from '../testing/test-store.ts'
import { modelsHandlers } from './models-handlers.ts'

const token = tokens.operator
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
const declare = (bytes: Uint8Array) => ({ sha256: sha256(bytes), bytes: bytes.length })
const json = (value: unknown) => Buffer.from(JSON.stringify(value))

const onnxFile = mcmahan2nn(1)
const onnx = readModel(onnxFile, { maxBytes: 1e7 })
const { tensors, inputs, outputs } = extractWeights(onnx)
const manifest = {
  format: 'tributary.manifest/1',
  tensors: tensors.map(({ name, dtype, shape, policy }) => ({ name, dtype, shape, policy })),
  inputs,
  outputs,
  loss: 'softmax-cross-entropy',
  labelKind: 'class-index',
}
const good = {
  manifest: json(manifest),
  weights: Buffer.from(encodeSafetensors(tensors)),
  graph: Buffer.from(writeModel(withoutWeights(onnx))),
}
type Files = { manifest: Buffer; weights: Buffer; graph?: Buffer }

suite('the model registry', { timeout: 60_000 }, () => {
  const resources = new AsyncDisposableStack()
  let db: TestDatabase
  let api: ReturnType<typeof testApi>
  let model: string
  before(async () => {
    db = resources.use(await startTestDatabase())
    const { store } = resources.use(await startTestStore())
    api = testApi('models', modelsHandlers({ ...testParts(db.database), store }), { database: db.database })
    model = (await api('POST', '/v1/models', { token, body: { name: 'Digits: 2NN', description: 'é' } })).body.id
  })
  after(() => resources.disposeAsync())

  const send = async (upload: { url: string; headers: Record<string, string> }, bytes: Buffer) => {
    const { 'content-length': _, ...headers } = upload.headers
    const answer = await fetch(upload.url, { method: 'PUT', body: new Uint8Array(bytes), headers })
    assert.equal(answer.status, 200, await answer.text())
  }
  const upload = async (files: Files): Promise<string> => {
    const body = Object.fromEntries(Object.entries(files).map(([file, bytes]) => [file, declare(bytes)]))
    const created = await api('POST', `/v1/models/${model}/versions`, { token, body })
    assert.equal(created.status, 201, JSON.stringify(created.body))
    for (const [file, bytes] of Object.entries(files)) await send(created.body.uploads[file], bytes)
    return created.body.version
  }
  const finalise = (version: string) => api('POST', `/v1/models/${model}/versions/${version}/finalise`, { token })
  const download = (version: string, format: string) =>
    api('GET', `/v1/models/${model}/versions/${version}/download`, { token: tokens.viewer, query: `format=${format}` })

  test('takes a bundle, and gives back its weights, its manifest and the very ONNX file it came from', async () => {
    const version = await upload(good)
    assert.equal((await download(version, 'safetensors')).body.code, 'MODEL_VERSION_NOT_READY')
    const ready = await finalise(version)
    assert.equal(ready.status, 200, JSON.stringify(ready.body))
    assert.deepEqual(
      { ...ready.body, createdAt: null },
      {
        id: version,
        model,
        number: 0,
        state: 'ready',
        refusal: null,
        notes: '',
        graph: true,
        sha256: sha256(good.weights),
        bytes: good.weights.length,
        parent: null,
        task: null,
        round: null,
        accuracy: null,
        loss: null,
        evaluatedExamples: 0,
        results: {},
        statistics: null,
        createdAt: null,
      },
    )
    assert.deepEqual((await finalise(version)).body, ready.body)
    assert.equal((await api('GET', `/v1/models/${model}`, { token })).body.latestVersion, version)
    for (const [format, wanted, name] of [
      ['safetensors', good.weights, 'digits-2nn-v0.safetensors'],
      ['manifest', good.manifest, 'digits-2nn-v0.manifest.json'],
      ['onnx', onnxFile, 'digits-2nn-v0.onnx'],
    ] as const) {
      const { body } = await download(version, format)
      assert.equal(body.filename, name)
      const bytes = Buffer.from(await (await fetch(body.url)).arrayBuffer())
      assert.equal(body.bytes, bytes.length)
      assert.equal(body.sha256, sha256(bytes))
      assert.equal(sha256(bytes), sha256(wanted), format)
    }
    const again = await download(version, 'onnx')
    assert.equal(again.body.sha256, sha256(onnxFile))
    assert.equal((await db.sql`select from model_export`).length, 1)
  })

  test('refuses at finalising what is missing, malformed or does not fit together, and says what', async () => {
    const without = (name: string) => ({
      ...manifest,
      tensors: manifest.tensors.filter(tensor => tensor.name !== name),
    })
    const first = tensors[0]?.name as string
    const cases: [string, RegExp, Files][] = [
      ['MODEL_INVALID', /manifest: not JSON/, { ...good, manifest: Buffer.from('{') }],
      ['MODEL_INVALID', /manifest: .*format/s, { ...good, manifest: json({ ...manifest, format: 'x' }) }],
      ['MODEL_INVALID', /weights: \d+ tensors/, { manifest: json(without(first)), weights: good.weights }],
      [
        'MODEL_INVALID',
        /weights: tensor 0 differs/,
        { ...good, weights: Buffer.from(encodeSafetensors(tensors.toReversed())) },
      ],
      ['MODEL_INVALID', /weights: TRUNCATED: safetensors/, { ...good, weights: Buffer.alloc(7) }],
      ['MODEL_INVALID', /weights: HEADER_TOO_LARGE: .*claims/, { ...good, weights: Buffer.alloc(64, 0xff) }],
      ['MODEL_INVALID', /weights: TRUNCATED: safetensors file has/, { ...good, weights: good.weights.subarray(0, -1) }],
      ['MODEL_INVALID', /graph: MALFORMED: The file is not an ONNX model/, { ...good, graph: Buffer.alloc(100, 0xff) }],
      [
        'MODEL_INVALID',
        /graph: parameter/,
        { ...good, manifest: json(without(first)), weights: Buffer.from(encodeSafetensors(tensors.slice(1))) },
      ],
    ]
    for (const [code, detail, files] of cases) {
      const { body } = await finalise(await upload(files))
      assert.equal(body.code, code)
      assert.match(body.detail, detail)
    }
    const body = { manifest: declare(good.manifest), weights: declare(good.weights) }
    const created = await api('POST', `/v1/models/${model}/versions`, { token, body })
    assert.equal((await finalise(created.body.version)).body.code, 'UPLOAD_MISSING')
    await send(created.body.uploads.manifest, good.manifest)
    const missing = await finalise(created.body.version)
    assert.equal(missing.body.code, 'UPLOAD_MISSING')
    assert.equal(missing.body.detail, 'weights is not uploaded')
  })

  test('refuses files that are too large before they are sent', async () => {
    const body = {
      manifest: { sha256: '0'.repeat(64), bytes: 17 * 1024 ** 2 },
      weights: { sha256: '0'.repeat(64), bytes: 2 ** 40 },
    }
    const refused = await api('POST', `/v1/models/${model}/versions`, { token, body })
    assert.equal(refused.body.code, 'BODY_INVALID')
    assert.deepEqual(
      refused.body.errors.map((error: { path: string }) => error.path),
      ['manifest.bytes', 'weights.bytes'],
    )
  })

  test('has no ONNX file for a model without a graph, and none that is too large to build', async () => {
    const version = await upload({ manifest: good.manifest, weights: good.weights })
    assert.equal((await finalise(version)).status, 200)
    const { status, body } = await download(version, 'onnx')
    assert.equal(status, 404)
    assert.match(body.detail, /no ONNX graph/)
    const large = await upload(good)
    await finalise(large)
    await db.sql`update model_version set weights_bytes = ${2 ** 31} where id = ${large}`
    assert.equal((await download(large, 'onnx')).body.code, 'EXPORT_TOO_LARGE')
  })

  test('numbers versions without gap or double when they are created at once, and pages them newest first', async () => {
    const { body: other } = await api('POST', '/v1/models', { token, body: { name: 'other' } })
    assert.equal((await api('POST', '/v1/models', { token, body: { name: 'other' } })).body.code, 'NAME_TAKEN')
    const body = { manifest: declare(good.manifest), weights: declare(good.weights) }
    await Promise.all(Array.from({ length: 5 }, () => api('POST', `/v1/models/${other.id}/versions`, { token, body })))
    const path = `/v1/models/${other.id}/versions`
    const numbers = (answer: { body: { items: { number: number }[] } }) => answer.body.items.map(({ number }) => number)
    const first = await api('GET', path, { token, query: 'limit=3' })
    assert.deepEqual(numbers(first), [4, 3, 2])
    const second = await api('GET', path, { token, query: `limit=3&cursor=${first.body.next}` })
    assert.deepEqual(numbers(second), [1, 0])
    assert.equal(second.body.next, null)
    const models = await api('GET', '/v1/models', { token, query: 'limit=1' })
    assert.equal(models.body.items[0].id, other.id)
    const older = await api('GET', '/v1/models', { token, query: `limit=1&cursor=${models.body.next}` })
    assert.equal(older.body.items[0].id, model)
  })

  test('knows no version under another model', async () => {
    const { body: other } = await api('POST', '/v1/models', { token, body: { name: 'third' } })
    const version = await upload(good)
    assert.equal((await api('GET', `/v1/models/${other.id}/versions/${version}`, { token })).status, 404)
    const finalised = await api('POST', `/v1/models/${other.id}/versions/${version}/finalise`, { token })
    assert.equal(finalised.status, 404)
    assert.equal((await api('GET', `/v1/models/${version}/versions`, { token })).status, 404)
  })
})
