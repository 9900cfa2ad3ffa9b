import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AsyncInvocations } from './async-invocations.ts'
import { startSchedule } from './schedule.ts'
import { testPool, until } from './testing.ts'

const source = 'export const handler = async event => console.log(JSON.stringify(event))'

test('a schedule sends scheduled events until it is disposed', async () => {
  await using fixture = await testPool({ source })
  await using events = new AsyncInvocations({ maxEvents: 5, retrySeconds: [], onDiscarded: () => undefined })
  const received = () => fixture.log.tail(40).match(/^\{.*\}$/gm) ?? []
  {
    using _schedule = startSchedule(fixture.pool, 0.05, events, 'eu-central-1')
    await until(() => received().length >= 2)
  }
  const event = JSON.parse(received()[0] ?? '')
  assert.equal(event['detail-type'], 'Scheduled Event')
  assert.equal(event.source, 'aws.events')
  assert.match(event.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
  assert.deepEqual(event.resources, ['arn:aws:events:eu-central-1:000000000000:rule/fixture'])
})
