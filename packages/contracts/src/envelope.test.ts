import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { regionCommands } from './commands.ts'
import { type MessageFamily, makeMessage, parseMessage } from './envelope.ts'
import { centralEvents } from './events.ts'

const id = '01900000-0000-7000-8000-000000000001'
const task = '01900000-0000-7000-8000-00000000000a'
const origin = { id, source: 'central', time: new Date('2026-01-02T03:04:05.678Z') }
const families: readonly MessageFamily[] = [regionCommands, centralEvents]
const uuids = fc
  .uuid({ version: 7 })
  .map(text => text.toLowerCase())
  .filter(text => '89ab'.includes(text.charAt(19)))

/** What a queue may hold: bytes, text, and JSON that comes close to an envelope. */
const nearEnvelope = fc.record(
  {
    specversion: fc.constantFrom('1.0', '0.3', 1),
    id: fc.oneof(fc.constant(id), fc.anything()),
    source: fc.oneof(fc.constant('central'), fc.string(), fc.anything()),
    type: fc.oneof(
      fc.constantFrom(...Object.keys(regionCommands), ...Object.keys(centralEvents)),
      fc.constantFrom('__proto__', 'constructor', 'toString', 'hasOwnProperty', ''),
      fc.anything(),
    ),
    time: fc.oneof(fc.constant('2026-01-02T03:04:05Z'), fc.anything()),
    data: fc.anything(),
  },
  { requiredKeys: [] },
)
const jsonText = (value: unknown): string | undefined => {
  try {
    return JSON.stringify(value)
  } catch {
    // A bigint or a cycle: no JSON has it.
    return undefined
  }
}

test('whatever bytes come from a queue, the answer is a message or a reason, never a throw', () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.string({ unit: 'binary' }),
    fc.json(),
    nearEnvelope.map(value => jsonText(value) ?? 'null'),
  )
  fc.assert(
    fc.property(bytes, fc.constantFrom(...families), (content, family) => {
      const parsed = parseMessage(family, content)
      if (parsed.ok) assert.ok(Object.hasOwn(family, parsed.message.type))
      else assert.ok(parsed.reason.length > 0 && parsed.reason.length <= 500)
    }),
    { numRuns: 2000 },
  )
})

test('names that every object has are no types', () => {
  for (const type of ['__proto__', 'constructor', 'toString', 'valueOf', '__defineGetter__']) {
    const text = `{"specversion":"1.0","id":"${id}","source":"s","type":"${type}","time":"2026-01-02T03:04:05Z","data":{}}`
    assert.deepEqual(parseMessage(regionCommands, text), { ok: false, reason: `unknown type "${type}"` })
  }
})

test('a message of another family, or without a type, is named in the reason', () => {
  const event = { specversion: '1.0', id, source: 's', type: 'shard.summed', time: '2026-01-02T03:04:05Z', data: {} }
  assert.deepEqual(parseMessage(regionCommands, JSON.stringify(event)), {
    ok: false,
    reason: 'unknown type "shard.summed"',
  })
  for (const text of ['null', '1', '"x"', '[]', '{}']) {
    assert.deepEqual(parseMessage(regionCommands, text), { ok: false, reason: 'unknown type undefined' })
  }
  for (const text of ['', '{', 'NaN', Uint8Array.of(0xff, 0xfe)]) {
    assert.deepEqual(parseMessage(regionCommands, text), { ok: false, reason: 'not JSON' })
  }
})

test('invalid data is refused with the field that is wrong', () => {
  const message = makeMessage(regionCommands, 'task.paused', { task }, origin)
  const parsed = parseMessage(regionCommands, JSON.stringify({ ...message, data: { task: 'x' } }))
  assert.ok(!parsed.ok)
  assert.match(parsed.reason, /not an id[\s\S]*data\.task/)
  for (const broken of [{ specversion: '0.3' }, { id: 'x' }, { source: '' }, { time: 'yesterday' }, { data: null }]) {
    assert.equal(parseMessage(regionCommands, JSON.stringify({ ...message, ...broken })).ok, false)
  }
})

test('what is made is CloudEvents 1.0, and is read back as it was', () => {
  const message = makeMessage(regionCommands, 'task.cancelled', { task }, origin)
  assert.deepEqual(message, {
    specversion: '1.0',
    id,
    source: 'central',
    type: 'task.cancelled',
    time: '2026-01-02T03:04:05.678Z',
    datacontenttype: 'application/json',
    data: { task },
  })
  fc.assert(
    fc.property(
      uuids,
      uuids,
      fc.record({
        round: fc.integer({ min: 1, max: 2 ** 31 }),
        attempt: fc.integer({ min: 1, max: 100 }),
        outcome: fc.constantFrom('committed', 'abandoned', 'cancelled'),
        reason: fc.string({ unit: 'binary' }),
      }),
      (messageId, taskId, fields) => {
        const data = { task: taskId, ...fields }
        const made = makeMessage(regionCommands, 'round.settled', data, { ...origin, id: messageId })
        const parsed = parseMessage(regionCommands, new TextEncoder().encode(JSON.stringify(made)))
        assert.ok(parsed.ok)
        assert.deepEqual([parsed.message.id, parsed.message.type], [messageId, 'round.settled'])
        // A lone surrogate has no UTF-8 form.
        assert.deepEqual(parsed.message.data, { ...data, reason: data.reason.toWellFormed() })
      },
    ),
  )
})

test('nothing invalid leaves', () => {
  assert.throws(() => makeMessage(regionCommands, 'task.paused', { task: 'x' }, origin), /not an id/)
  assert.throws(() => makeMessage(regionCommands, 'task.paused', { task }, { ...origin, id: 'x' }), /not an id/)
})
