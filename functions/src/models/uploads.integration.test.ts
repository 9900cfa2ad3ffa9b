import assert from 'node:assert/strict'
import { mock, suite, test } from 'node:test'
import { encodeSafetensors } from '@tributary/tensors/safetensors/file'
import { exampleBase, exampleManifest, utf8 } from '../testing/example-model.ts'
import { type BundleBytes, declare, put, sha256, testRegistry } from '../testing/test-registry.ts'

const registry = testRegistry()
const partBytes = 64 * 1024 ** 2
const elements = 17_000_000
const large: BundleBytes & { manifest: Uint8Array } = {
  manifest: utf8(
    JSON.stringify({
      ...exampleManifest,
      tensors: [{ name: 'w', dtype: 'F32', shape: [elements], policy: 'average' }],
    }),
  ),
  weights: encodeSafetensors([
    { name: 'w', dtype: 'F32', shape: [elements], bytes: new Uint8Array(4 * elements).fill(1) },
  ]),
}
const small = { manifest: utf8(JSON.stringify(exampleManifest)), weights: exampleBase() }
const firstPart = large.weights.subarray(0, partBytes)
const secondPart = large.weights.subarray(partBytes)

const get = (model: string, version: string, rest = '') =>
  registry.api('GET', `/v1/models/${model}/versions/${version}${rest}`)

/** What the store holds of a version's weights. */
const weightsOf = async (version: string) => {
  const [row] = await registry.db.sql`select weights_key, weights_bytes from model_version where id = ${version}`
  const head = await registry.store.head(row?.weights_key)
  return head === null ? null : sha256(await registry.store.readAll(row?.weights_key, head.bytes))
}

suite('uploads', { timeout: 120_000 }, () => {
  test('a file above one part goes up in parts, is checked outside the request, and is ready', async () => {
    const model = await registry.createModel('in parts')
    const { version, uploads } = await registry.declare(model, large)
    assert.deepEqual(
      uploads.weightsParts?.map(({ part, start, end }) => [part, start, end]),
      [
        [1, 0, partBytes],
        [2, partBytes, large.weights.length],
      ],
    )
    assert.equal(uploads.weights, undefined)
    await registry.send(uploads, large)
    const finalised = await registry.finalise(model, version)
    assert.equal(finalised.body.state, 'checking', JSON.stringify(finalised.body))
    assert.equal((await registry.finalise(model, version)).body.state, 'checking')
    assert.equal((await get(model, version, '/download')).body.code, 'MODEL_VERSION_NOT_READY')
    assert.equal((await registry.api('DELETE', `/v1/models/${model}/versions/${version}`)).body.code, 'STATE_CONFLICT')
    const [job = ''] = registry.jobs
    assert.equal(registry.jobs.length, 1)
    assert.deepEqual(await registry.runJobs(), ['done'])
    assert.equal(await registry.runJob(job), 'nothing')
    const { body } = await get(model, version)
    assert.deepEqual([body.state, body.sha256, body.refusal], ['ready', sha256(large.weights), null])
    assert.equal(await weightsOf(version), sha256(large.weights))
    const audited = await registry.db.sql`
      select action from audit_entry where subject = ${`version/${version}`} order by sequence`
    assert.deepEqual(
      audited.map(({ action }) => action),
      ['version.declared', 'version.uploaded', 'version.finalised'],
    )
    assert.equal((await registry.db.sql`select from version_upload where version = ${version}`).length, 0)
  })

  test('many that finalise at once, and send again at once, have one effect', async () => {
    const model = await registry.createModel('at once')
    const { version, uploads } = await registry.declare(model, large)
    await Promise.all([registry.send(uploads, large), registry.send(uploads, large)])
    const answers = await Promise.all(Array.from({ length: 5 }, () => registry.finalise(model, version)))
    assert.deepEqual(
      answers.map(({ body }) => body.state ?? body.code),
      Array.from({ length: 5 }, () => 'checking'),
    )
    assert.equal(registry.jobs.length, 1)
    assert.deepEqual(await registry.runJobs(), ['done'])
    assert.equal(await weightsOf(version), sha256(large.weights))
  })

  test('a client that lost its addresses gets new ones for what is missing, and finalising names the parts', async () => {
    const model = await registry.createModel('lost addresses')
    const { version, uploads } = await registry.declare(model, large)
    const [first, second] = uploads.weightsParts ?? []
    assert.ok(first !== undefined && second !== undefined && uploads.manifest !== undefined)
    assert.equal((await put(first, firstPart)).status, 200)
    const missing = await registry.finalise(model, version)
    assert.deepEqual([missing.body.code, missing.body.parts], ['UPLOAD_MISSING', [2]])
    assert.match(missing.body.detail, /weights: 1 of 2 parts are not uploaded \(2\)/)
    const again = (await get(model, version, '/uploads')).body.uploads
    assert.deepEqual(Object.keys(again).sort(), ['manifest', 'weightsParts'])
    assert.deepEqual(
      again.weightsParts.map(({ part }: { part: number }) => part),
      [2],
    )
    assert.equal((await put(again.weightsParts[0], secondPart)).status, 200)
    // The parts are one object now, and the manifest is still missing.
    assert.equal((await registry.finalise(model, version)).body.code, 'UPLOAD_MISSING')
    const last = (await get(model, version, '/uploads')).body.uploads
    assert.deepEqual([Object.keys(last).sort(), last.weightsParts], [['manifest', 'weightsParts'], []])
    assert.equal((await put(last.manifest, large.manifest)).status, 200)
    assert.equal((await registry.finalise(model, version)).body.state, 'checking')
    assert.deepEqual(await registry.runJobs(), ['done'])
    assert.equal((await get(model, version, '/uploads')).body.code, 'STATE_CONFLICT')
  })

  test('a part takes its own bytes at its own place in its own upload, and nothing after that', async () => {
    const model = await registry.createModel('swapped parts')
    const mine = await registry.declare(model, large)
    const other = await registry.declare(model, large)
    const [first, second] = mine.uploads.weightsParts ?? []
    const [foreign] = other.uploads.weightsParts ?? []
    assert.ok(first !== undefined && second !== undefined && foreign !== undefined)
    const flipped = new Uint8Array(secondPart)
    flipped[0] = (flipped[0] ?? 0) ^ 1
    const edited = (change: (url: URL) => void, upload = second) => {
      const url = new URL(upload.url)
      change(url)
      return { ...upload, url: url.href }
    }
    const uploadId = new URL(foreign.url).searchParams.get('uploadId') ?? ''
    const refusals: [string, Parameters<typeof put>, number][] = [
      ['other bytes', [second, flipped], 400],
      ['fewer bytes', [second, secondPart.subarray(1)], 403],
      ['another part', [first, secondPart], 403],
      ['its checksum left out', [{ ...second, headers: {} }, secondPart], 403],
      ['another place', [edited(url => url.searchParams.set('partNumber', '1')), secondPart], 403],
      ['another upload', [edited(url => url.searchParams.set('uploadId', uploadId)), secondPart], 403],
      [
        'another object',
        [
          edited(url => {
            url.pathname = new URL(foreign.url).pathname
          }),
          secondPart,
        ],
        403,
      ],
      ['a longer time', [edited(url => url.searchParams.set('X-Amz-Expires', '7200')), secondPart], 403],
    ]
    for (const [what, sent, status] of refusals) assert.equal((await put(...sent)).status, status, what)
    const missing = await registry.finalise(model, mine.version)
    assert.deepEqual(missing.body.parts, [1, 2])
    await registry.send(mine.uploads, large)
    assert.equal((await registry.finalise(model, mine.version)).body.state, 'checking')
    // Completed: the addresses lead nowhere, and what was checked stays.
    assert.equal((await put(second, secondPart)).status, 404)
    assert.deepEqual(await registry.runJobs(), ['done'])
    assert.equal(await weightsOf(mine.version), sha256(large.weights))
    assert.equal((await get(model, other.version)).body.state, 'uploading')
  })

  test('a file in one piece takes its own bytes only, also after it was finalised', async () => {
    const model = await registry.createModel('in one piece')
    const { version, uploads } = await registry.declare(model, small)
    const other = await registry.declare(model, small)
    assert.ok(uploads.weights !== undefined && uploads.manifest !== undefined && other.uploads.weights !== undefined)
    const flipped = new Uint8Array(small.weights)
    flipped[small.weights.length - 1] = 1
    const toOther = { ...uploads.weights, url: uploads.weights.url.replace(version, other.version) }
    const refused = async () => {
      assert.equal((await put(uploads.weights as never, flipped)).status, 400)
      assert.equal((await put(uploads.weights as never, small.weights.subarray(8))).status, 403)
      assert.equal((await put(uploads.weights as never, new Uint8Array([...small.weights, 0]))).status, 403)
      assert.equal((await put(toOther, small.weights)).status, 403)
      assert.equal((await put(uploads.manifest as never, small.weights)).status, 403)
    }
    await refused()
    assert.equal((await registry.finalise(model, version)).body.code, 'UPLOAD_MISSING')
    await registry.send(uploads, small)
    assert.equal((await registry.finalise(model, version)).body.state, 'ready')
    await refused()
    assert.equal((await put(uploads.weights, small.weights)).status, 200)
    assert.equal(await weightsOf(version), sha256(small.weights))
    assert.equal(await weightsOf(other.version), null)
  })

  test('an address is good for an hour', async () => {
    const model = await registry.createModel('expired')
    const [single, parts] = [await registry.declare(model, small), await registry.declare(model, large)]
    const part = parts.uploads.weightsParts?.[1]
    assert.ok(part !== undefined && single.uploads.weights !== undefined)
    for (const { url } of [part, single.uploads.weights]) {
      assert.equal(new URL(url).searchParams.get('X-Amz-Expires'), '3600')
    }
    const keyOf = ({ url }: { url: string }) => new URL(url).pathname.replace('/test/', '')
    const upload = new URL(part.url).searchParams.get('uploadId') ?? ''
    mock.timers.enable({ apis: ['Date'], now: Date.now() - 3_601_000 })
    const [oldPart, oldFile] = [
      await registry.store.partUploads.presign({ key: keyOf(part), upload, part: 2 }, declare(secondPart), 3600),
      await registry.store.presignPut(keyOf(single.uploads.weights), declare(small.weights), 3600),
    ]
    mock.timers.reset()
    assert.equal((await put(oldPart, secondPart)).status, 403)
    assert.equal((await put(oldFile, small.weights)).status, 403)
    assert.equal(await weightsOf(single.version), null)
    await registry.send((await get(model, single.version, '/uploads')).body.uploads, small)
    assert.equal((await registry.finalise(model, single.version)).body.state, 'ready')
  })

  test('the declaration has the sha256 of every part, and none for a file of one', async () => {
    const model = await registry.createModel('declarations')
    const declared = declare(large.weights)
    const wrong = async (weights: unknown) => {
      const body = { manifest: declare(large.manifest), weights }
      const answer = await registry.api('POST', `/v1/models/${model}/versions`, { body })
      assert.equal(answer.body.code, 'BODY_INVALID')
      return answer.body.errors.map(({ path }: { path: string }) => path)
    }
    const { parts = [], ...whole } = declared
    assert.deepEqual(await wrong(whole), ['weights.parts'])
    assert.deepEqual(await wrong({ ...whole, parts: [...parts, ...parts] }), ['weights.parts'])
    assert.deepEqual(await wrong({ ...declare(small.weights), parts }), ['weights.parts'])
    assert.deepEqual(await wrong({ ...whole, bytes: 257 * partBytes, parts }), ['weights.bytes'])
  })
})
