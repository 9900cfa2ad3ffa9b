import assert from 'node:assert/strict'
import { before, suite, test } from 'node:test'
import type { Dtype } from '@tributary/tensors/dtype'
import { encodeSafetensors } from '@tributary/tensors/safetensors/file'
import { v7 } from 'uuid'
import { exampleManifest, exampleWeights, utf8 } from '../testing/example-model.ts'
import { testRegistry } from '../testing/test-registry.ts'

const registry = testRegistry()
const bytes = (array: ArrayBufferView) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength)

suite('versions', { timeout: 120_000 }, () => {
  let model: string
  before(async () => {
    model = await registry.createModel('versions')
  })
  const path = (version: string, rest = '') => `/v1/models/${model}/versions/${version}${rest}`
  const compare = (a: string, b: string) => registry.api('GET', path(a, '/compare'), { query: `with=${b}` })

  test('are compared tensor by tensor', async () => {
    // w: (1, 2, 2) and (1, 2, −4): difference 6, norms 3 and √21, product −3. steps: 5 and 5. fixed: (9, −9) in both.
    const a = await registry.ready(model, exampleWeights([1, 2, 2], 5n))
    const b = await registry.ready(model, exampleWeights([1, 2, -4], 5n))
    const { body } = await compare(a, b)
    assert.deepEqual([body.version.id, body.other.id, body.tensorCount], [a, b, 3])
    const [w, steps, fixed] = body.tensors
    assert.deepEqual(w, {
      name: 'w',
      relativeL2: 2,
      maxAbsolute: 6,
      cosine: -3 / 3 / Math.sqrt(21),
      norm: 3,
      otherNorm: Math.sqrt(21),
    })
    assert.deepEqual(
      [steps, fixed].map(({ name, relativeL2, maxAbsolute, norm }) => [name, relativeL2, maxAbsolute, norm]),
      [
        ['steps', 0, 0, 5],
        ['fixed', 0, 0, Math.sqrt(162)],
      ],
    )
    // All together: 36 of 9 + 25 + 162.
    assert.equal(body.whole.relativeL2, Math.sqrt(36 / 196))
    assert.deepEqual((await compare(a, a)).body.whole.maxAbsolute, 0)
  })

  test('of zeros and of what is not a number have no distance, and others none with them', async () => {
    const zeros = await registry.ready(model, exampleWeights([0, 0, 0], 0n))
    const wrong = await registry.ready(model, exampleWeights([NaN, Infinity, 1], 0n))
    const [w, steps] = (await compare(zeros, wrong)).body.tensors
    assert.deepEqual([w.relativeL2, w.maxAbsolute, w.cosine, w.norm, w.otherNorm], [null, null, null, 0, null])
    assert.deepEqual([steps.relativeL2, steps.cosine, steps.maxAbsolute], [null, null, 0])
  })

  test('of other tensors cannot be compared, nor those that are not ready or not there', async () => {
    const ready = await registry.ready(model)
    const manifest = { ...exampleManifest, tensors: exampleManifest.tensors.slice(0, 1) }
    const w = encodeSafetensors([{ name: 'w', dtype: 'F32', shape: [3], bytes: new Uint8Array(12) }])
    const unlike = await registry.ready(model, w, manifest)
    const { version: uploading } = await registry.declare(model, { weights: w })
    assert.equal((await compare(ready, unlike)).body.code, 'VERSIONS_UNLIKE')
    assert.equal((await compare(ready, uploading)).body.code, 'MODEL_VERSION_NOT_READY')
    assert.equal((await compare(ready, v7())).body.code, 'NOT_FOUND')
  })

  test('that are large are compared outside the request; the result is there for whoever asks again', async () => {
    const elements = 9_000_000
    const manifestOf = (dtype: Dtype) => ({
      ...exampleManifest,
      tensors: [
        { name: 'small', dtype: 'U8', shape: [3], policy: 'frozen' },
        { name: 'w', dtype, shape: [elements], policy: 'average' },
      ],
    })
    const weightsOf = (value: number) =>
      encodeSafetensors([
        { name: 'small', dtype: 'U8', shape: [3], bytes: Uint8Array.of(1, 2, value) },
        { name: 'w', dtype: 'F32', shape: [elements], bytes: bytes(new Float32Array(elements).fill(value)) },
      ])
    const a = await registry.ready(model, weightsOf(2), manifestOf('F32'))
    const b = await registry.ready(model, weightsOf(3), manifestOf('F32'))
    registry.jobs.splice(0)
    for (let n = 0; n < 2; n += 1) assert.equal((await compare(a, b)).body.code, 'RESULT_PENDING')
    assert.equal(registry.jobs.length, 1)
    assert.equal((await registry.api('DELETE', path(b))).body.references[0].kind, 'job')
    assert.deepEqual(await registry.runJobs(), ['done'])
    const { body } = await compare(a, b)
    // Sums of nine million whole numbers are exact in float64.
    assert.deepEqual(body.tensors[1], {
      name: 'w',
      relativeL2: 0.5,
      maxAbsolute: 1,
      cosine: 1,
      norm: 2 * Math.sqrt(elements),
      otherNorm: 3 * Math.sqrt(elements),
    })
    assert.equal(body.tensors[0].maxAbsolute, 1)
    const unlike = await registry.ready(
      model,
      encodeSafetensors([{ name: 'v', dtype: 'F32', shape: [elements], bytes: new Uint8Array(4 * elements) }]),
      { ...exampleManifest, tensors: [{ name: 'v', dtype: 'F32', shape: [elements], policy: 'average' }] },
    )
    assert.equal((await compare(a, unlike)).body.code, 'RESULT_PENDING')
    assert.deepEqual(await registry.runJobs(), ['failed'])
    assert.equal((await compare(a, unlike)).body.code, 'VERSIONS_UNLIKE')
  })

  test('carry notes, and answer 304 to whoever has seen them', async () => {
    const version = await registry.upload(
      model,
      { manifest: utf8(JSON.stringify(exampleManifest)), weights: exampleWeights([1, 2, 3], 1n) },
      { notes: 'first try' },
    )
    const first = await registry.api('GET', path(version))
    assert.equal(first.body.notes, 'first try')
    const seen = { headers: { 'if-none-match': String(first.headers.etag) } }
    assert.equal((await registry.api('GET', path(version), seen)).status, 304)
    await registry.api('PUT', path(version), { body: { notes: 'é ' } })
    const changed = await registry.api('GET', path(version), seen)
    assert.deepEqual([changed.status, changed.body.notes], [200, 'é '])
    assert.equal((await registry.api('PUT', path(v7()), { body: { notes: '' } })).status, 404)
  })

  test('are listed by state and order; deleted ones only when asked for', async () => {
    const own = await registry.createModel('listed')
    const versions = []
    for (let n = 0; n < 4; n += 1) versions.push(await registry.ready(own))
    await registry.declare(own, { weights: new Uint8Array(8) })
    const gone = versions[1] as string
    assert.equal((await registry.api('DELETE', `/v1/models/${own}/versions/${gone}`)).body.state, 'deleted')
    const list = async (query: string) => {
      const { body } = await registry.api('GET', `/v1/models/${own}/versions`, { query })
      return [body.items.map(({ number }: { number: number }) => number), body.next !== null]
    }
    assert.deepEqual(await list('limit=3'), [[4, 3, 2], true])
    assert.deepEqual(await list('order=oldest&limit=3'), [[0, 2, 3], true])
    assert.deepEqual(await list('state=ready&order=oldest'), [[0, 2, 3], false])
    assert.deepEqual(await list('state=deleted'), [[1], false])
    assert.deepEqual(await list('state=uploading'), [[4], false])
    assert.deepEqual(await list(`task=${v7()}`), [[], false])
    assert.equal((await registry.api('GET', `/v1/models/${own}/versions`, { query: 'state=lost' })).status, 400)
    const plan = (await registry.db.sql.begin(async sql => {
      await sql`set local enable_seqscan = off`
      return sql`explain select id from model_version v where v.model = ${own} and v.state = 'ready' and v.number < 3
        order by v.number desc limit 3`
    })) as unknown as { 'QUERY PLAN': string }[]
    assert.match(plan.map(row => row['QUERY PLAN']).join('\n'), /Index Scan Backward using model_version/)
  })

  test('stay while an alias names them or could go back to them, and go afterwards', async () => {
    const [a, b, c] = [await registry.ready(model), await registry.ready(model), await registry.ready(model)]
    const alias = `/v1/models/${model}/aliases/kept`
    for (const version of [a, b, c]) await registry.api('PUT', alias, { body: { version } })
    const refusal = async (version: string) => {
      const { body } = await registry.api('DELETE', path(version))
      return body.references ?? body.state
    }
    assert.deepEqual(await refusal(c), [{ kind: 'alias', id: 'kept' }])
    assert.deepEqual(await refusal(b), [{ kind: 'alias-before', id: 'kept' }])
    assert.equal(await refusal(a), 'deleted')
    assert.equal(await refusal(a), 'deleted')
    assert.equal((await registry.api('GET', path(a, '/download'))).body.code, 'VERSION_DELETED')
    assert.equal((await registry.api('GET', path(a))).body.state, 'deleted')
    assert.equal((await registry.api('PUT', alias, { body: { version: a } })).body.code, 'VERSION_DELETED')
    assert.equal((await registry.finalise(model, a)).body.code, 'VERSION_DELETED')
    assert.equal((await registry.api('POST', `${alias}/roll-back`, { body: {} })).body.number, await numberOf(b))
    assert.equal((await registry.api('POST', `${alias}/roll-back`, { body: {} })).body.code, 'VERSION_DELETED')
    await registry.api('DELETE', alias)
    assert.equal(await refusal(b), 'deleted')
    assert.equal((await registry.api('DELETE', path(v7()))).body.code, 'NOT_FOUND')
  })

  test('are promoted and deleted at the same moment: either comes first, and never both', async () => {
    for (let n = 0; n < 10; n += 1) {
      const version = await registry.ready(model)
      const alias = `race-${n}`
      const outcomes = await Promise.all([
        registry.api('PUT', `/v1/models/${model}/aliases/${alias}`, { body: { version } }),
        registry.api('DELETE', path(version)),
      ])
      const codes = outcomes.map(({ body }) => body.code ?? 'done')
      assert.ok(
        [
          ['done', 'VERSION_REFERENCED'],
          ['VERSION_DELETED', 'done'],
        ].some(wanted => wanted.join() === codes.join()),
        codes.join(),
      )
    }
  })

  const numberOf = async (version: string) => (await registry.api('GET', path(version))).body.number
})
