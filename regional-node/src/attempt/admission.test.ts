import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { MessageInitShape } from '@bufbuild/protobuf'
import { Codec, type UpdateHeaderSchema, UpdateKind, VerdictCode } from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import { Receipt } from '@tributary/contracts/work-token'
import { decodeJwt } from 'jose'
import { sampleDescriptor, sampleUpdate, sha256Of } from '../testing/sample-round.ts'
import { TestShard } from '../testing/test-shard.ts'
import { admitUpdate } from './admission.ts'

const {
  ACCEPTED,
  ALREADY,
  CONFLICT,
  INVALID,
  TOO_BIG,
  RETRY_AFTER,
  UNAUTHORISED,
  WRONG_BASE,
  WRONG_EPOCH,
  WRONG_SHARD,
} = VerdictCode
const body = sampleUpdate([1, 2, 3], [4, 5])

const open = async (options = {}) => {
  const shard = await TestShard.open(options)
  const descriptor = sampleDescriptor(shard.clock.now(), { goal: 3, select: 3 })
  for (const number of [1, 2, 3]) shard.online(number)
  await shard.opened(descriptor)
  return { shard, descriptor, [Symbol.asyncDispose]: () => shard[Symbol.asyncDispose]() }
}

const headerRows: [string, MessageInitShape<typeof UpdateHeaderSchema>, VerdictCode, string][] = [
  ['a token that is none', { token: 'x.y.z' }, UNAUTHORISED, 'TOKEN_INVALID'],
  ['weights sent as an update', { kind: UpdateKind.UNSPECIFIED }, INVALID, 'KIND_UNSUPPORTED'],
  ['a codec that the task does not declare', { codec: Codec.UNSPECIFIED }, INVALID, 'CODEC_UNSUPPORTED'],
  ['another base', { baseSha256: '0'.repeat(64) }, WRONG_BASE, ''],
  ['a sha256 that is none', { sha256: '../../etc/passwd' }, INVALID, 'BODY_INVALID'],
  ['a training time below zero', { trainSeconds: -1 }, INVALID, 'BODY_INVALID'],
  ['more examples than numbers can tell', { examples: 2n ** 60n }, INVALID, 'BODY_INVALID'],
  ['a metric with a wild name', { metrics: [{ name: '__proto__', value: 1n }] }, INVALID, 'BODY_INVALID'],
  ['a body larger than the token allows', { totalBytes: 2n ** 40n }, TOO_BIG, ''],
  ['an offset behind what is there', { offset: 8n }, RETRY_AFTER, ''],
]
for (const [what, fields, code, errorCode] of headerRows) {
  test(`refuses ${what}, and takes the right update afterwards`, async () => {
    await using opened = await open()
    const refused = await opened.shard.push(opened.descriptor, 1, body, fields)
    assert.deepEqual([refused.code, refused.errorCode, refused.receipt], [code, errorCode, ''])
    assert.equal((await opened.shard.push(opened.descriptor, 1, body)).code, ACCEPTED)
  })
}

const bodyRows: [string, Uint8Array, string, string][] = [
  ['NaN', sampleUpdate([1, Number.NaN, 3], [4, 5]), 'NOT_FINITE', 'w'],
  ['infinity', sampleUpdate([1, 2, 3], [4, -Infinity]), 'NOT_FINITE', 'b'],
  ['a value beyond the bound of 1024', sampleUpdate([1, 2, 1025], [4, 5]), 'OUT_OF_RANGE', 'w'],
  ['a body that is no safetensors', Buffer.alloc(100, 0xff), 'BODY_MALFORMED', ''],
  ['a body of one byte', Buffer.from('x'), 'BODY_MALFORMED', ''],
  ['an empty body', Buffer.alloc(0), 'BODY_MALFORMED', ''],
]
for (const [what, bytes, errorCode, tensor] of bodyRows) {
  test(`refuses ${what} for good: the same again hears the same, another is a conflict`, async () => {
    await using opened = await open()
    for (const _ of ['once', 'again']) {
      const refused = await opened.shard.push(opened.descriptor, 1, bytes)
      assert.deepEqual([refused.code, refused.errorCode, refused.tensor], [INVALID, errorCode, tensor])
    }
    assert.equal((await opened.shard.push(opened.descriptor, 1, body)).code, CONFLICT)
    await opened.shard.restart()
    assert.equal((await opened.shard.push(opened.descriptor, 1, bytes)).errorCode, errorCode, 'after a restart too')
  })
}

test('the same update again gets the same receipt and counts once; another body is a conflict', async () => {
  await using opened = await open()
  const { shard, descriptor } = opened
  const accepted = await shard.push(descriptor, 1, body)
  const again = await shard.push(descriptor, 1, body)
  assert.deepEqual([accepted.code, again.code, again.receipt], [ACCEPTED, ALREADY, accepted.receipt])
  assert.equal((await shard.push(descriptor, 1, sampleUpdate([0, 0, 0], [0, 0]))).code, CONFLICT)
  assert.equal(shard.attempts.progress[0]?.accepted, 1)
  const receipt = Receipt.parse(decodeJwt(accepted.receipt))
  assert.deepEqual([receipt.device, receipt.sha256, receipt.weight], [shard.device(1).device, sha256Of(body), 3])
})

test('two uploads of one device at the same time count once', async () => {
  await using opened = await open()
  const answers = await Promise.allSettled([1, 2, 3].map(() => opened.shard.push(opened.descriptor, 1, body)))
  const codes = answers.map(answer => (answer.status === 'fulfilled' ? answer.value.code : 'cut'))
  assert.ok(codes.includes(ACCEPTED) || codes.includes(ALREADY), `${codes}`)
  assert.equal(opened.shard.attempts.progress[0]?.accepted, 1)
})

test('an upload goes on from its durable prefix, over a restart too', async () => {
  await using opened = await open()
  const { shard, descriptor } = opened
  const broken = (async function* () {
    yield body.subarray(0, 40)
    throw new Error('connection lost')
  })()
  await assert.rejects(shard.push(descriptor, 1, body, {}, broken))
  await shard.restart()
  await shard.opened(descriptor)
  const wrong = await shard.push(descriptor, 1, body)
  assert.deepEqual([wrong.code, wrong.receivedBytes], [RETRY_AFTER, 40])
  const rest = [body.subarray(40)]
  assert.equal((await shard.push(descriptor, 1, body, { offset: 40n }, rest)).code, ACCEPTED)
})

test('more or fewer bytes than declared, or other bytes, are refused and may be sent again', async () => {
  await using opened = await open()
  const { shard, descriptor } = opened
  const more = await shard.push(descriptor, 1, body, {}, [body, Buffer.from('x')])
  const fewer = await shard.push(descriptor, 1, body, {}, [body.subarray(1)])
  const other = await shard.push(descriptor, 1, body, {}, [Buffer.alloc(body.byteLength)])
  assert.deepEqual(
    [more.errorCode, fewer.errorCode, other.errorCode],
    ['LENGTH_MISMATCH', 'LENGTH_MISMATCH', 'CHECKSUM_MISMATCH'],
  )
  assert.equal((await shard.push(descriptor, 1, body)).code, ACCEPTED)
})

test('when a resumed upload comes out wrong it begins anew: the kept part may be at fault', async () => {
  await using opened = await open()
  const { shard, descriptor } = opened
  const broken = (async function* () {
    yield Buffer.alloc(40)
    throw new Error('connection lost')
  })()
  await assert.rejects(shard.push(descriptor, 1, body, {}, broken))
  const resumed = await shard.push(descriptor, 1, body, { offset: 40n }, [body.subarray(40)])
  assert.deepEqual([resumed.code, resumed.receivedBytes], [RETRY_AFTER, 0])
  assert.equal((await shard.push(descriptor, 1, body)).code, ACCEPTED)
})

test('a token of another device, of another certificate, or expired, is refused', async () => {
  await using opened = await open()
  const { shard, descriptor } = opened
  const header = await shard.header(descriptor, 1, body)
  const chunks = async function* () {}
  const verdict = async (device: ReturnType<TestShard['device']>) =>
    (await admitUpdate(shard.admission, device, header, chunks)).verdict.code
  assert.equal(await verdict(shard.device(2)), UNAUTHORISED)
  assert.equal(await verdict({ ...shard.device(1), certificateSha256: '0'.repeat(64) }), UNAUTHORISED)
  shard.clock.advance(70_000 + 3_601_000)
  assert.equal(await verdict(shard.device(1)), UNAUTHORISED)
})

test('an epoch that is over and a shard of another node are named', async () => {
  await using opened = await open()
  const { shard, descriptor } = opened
  shard.lease(2)
  assert.equal((await shard.push(descriptor, 1, body)).code, WRONG_EPOCH)
  shard.leases.renew({ leases: [], otherShards: [{ shard: 0, endpoint: 'other:9' }] }, 0)
  const header = await shard.header(descriptor, 1, body)
  const { verdict } = await admitUpdate(shard.admission, shard.device(1), header, async function* () {})
  assert.deepEqual([verdict.code, verdict.endpoint], [WRONG_SHARD, 'other:9'])
})

test('beyond the budget of disk a device is asked to wait', async () => {
  await using opened = await open({ spoolBytes: body.byteLength - 1 })
  assert.equal((await opened.shard.push(opened.descriptor, 1, body)).code, RETRY_AFTER)
})

test('beyond the budget of bytes under way a device is asked to wait; one that is larger than all of it runs alone', async () => {
  await using opened = await open({ uploadBytes: body.byteLength - 1 })
  const { shard, descriptor } = opened
  const answers: VerdictCode[] = []
  const slow = (async function* () {
    answers.push((await shard.push(descriptor, 2, body)).code)
    yield body
  })()
  answers.push((await shard.push(descriptor, 1, body, {}, slow)).code)
  answers.push((await shard.push(descriptor, 2, body)).code)
  assert.deepEqual(answers, [RETRY_AFTER, ACCEPTED, ACCEPTED])
})

test('a node that drains takes no upload', async () => {
  await using opened = await open()
  opened.shard.admission.slots.drain()
  assert.equal((await opened.shard.push(opened.descriptor, 1, body)).code, RETRY_AFTER)
})
