import assert from 'node:assert/strict'
import { test } from 'node:test'
import { errorCatalogue } from '@tributary/contracts/errors'
import type { RoundDescriptor } from '@tributary/contracts/round'
import { logsHandlers } from '../../logs/logs-handlers.ts'
import { reportNodeLogs } from '../../regional-nodes/report-node-logs.ts'
import { exampleSum } from '../../testing/example-model.ts'
import { testApi, tokens } from '../../testing/test-api.ts'
import { testServices } from '../../testing/test-services.ts'
import { tasksHandlers } from '../tasks-handlers.ts'

const services = testServices()

test('a failed device-round has its code, message, device and log tail', async () => {
  const federation = await services.begin({ north: { trainers: 3 } })
  await federation.comeUp()
  const { id: task } = await federation.createTask()
  const [descriptor] = (await federation.commands('round.opened')).map(({ data }) => data as unknown as RoundDescriptor)
  const [first, second, third] = federation.devices.map(({ id }) => id) as [string, string, string]
  const detail = 'mnist: images.idx is truncated'
  await federation.deliver(
    await federation.summed(descriptor as RoundDescriptor, {
      sum: exampleSum([30, 180, -20], 7n),
      weight: 60,
      accepted: 1,
      lines: [
        { device: first, label: 'north-0', verdict: 'accepted', examples: 60, weight: 60, bytes: 12, seconds: 0.5 },
        { device: second, label: 'north-1', verdict: 'failed', code: 'DATASET_UNUSABLE', detail },
        { device: third, label: 'north-2', verdict: 'no-show' },
      ],
    }),
  )
  await federation.runMerges()
  const about = { task, round: 1, attempt: 1, shard: 0 }
  const time = '2026-03-01T12:00:00.000Z'
  const entries = [
    { time, level: 'info' as const, message: 'selected', ...about, device: second },
    {
      time,
      level: 'warn' as const,
      message: `the device cannot do its part: ${detail}`,
      ...about,
      device: second,
      code: 'DATASET_UNUSABLE',
    },
    ...['Traceback:', '<script>'].map((message, part) => ({
      time,
      level: 'info' as const,
      message,
      ...about,
      device: second,
      fields: { source: 'device-log', part: part + 1, parts: 2 },
    })),
    { time, level: 'info' as const, message: 'of another round', ...about, round: 2, device: second },
    { time, level: 'info' as const, message: 'of another device', ...about, device: first },
  ]
  await reportNodeLogs(federation.context)(
    federation.request<'reportNodeLogs'>({
      params: { node: federation.nodeOf('north').id },
      query: undefined,
      body: { batch: '01890000-0000-7000-8000-000000000001', entries },
    }),
  )

  const call = testApi('tasks', tasksHandlers(federation.context), services.db)
  const get = (path: string, query = '') => call('GET', path, { token: tokens.viewer, query })
  const { body: failed } = await get(`/v1/tasks/${task}/rounds/1/participants/${second}`)
  assert.deepEqual([failed.label, failed.region, failed.attempts.length], ['north-1', 'north', 1])
  const [{ verdict, code, action, ...attempt }] = failed.attempts
  assert.deepEqual([verdict, code, attempt.detail], ['failed', 'DATASET_UNUSABLE', detail])
  assert.equal(action, errorCatalogue.DATASET_UNUSABLE.message)
  assert.equal(attempt.deviceLog, 'Traceback:\n<script>')
  assert.deepEqual(
    failed.logs.map(({ message, level, device }: { message: string; level: string; device: string }) => [
      message,
      level,
      device,
    ]),
    [
      ['selected', 'info', second],
      [`the device cannot do its part: ${detail}`, 'warn', second],
      ['Traceback:', 'info', second],
      ['<script>', 'info', second],
    ],
  )
  const logs = testApi('logs', logsHandlers(federation.context), services.db)
  const trouble = await logs('GET', `/v1/tasks/${task}/logs`, { token: tokens.viewer, query: 'round=1&level=warn' })
  assert.deepEqual(
    trouble.body.items.map(({ code }: { code: string }) => code),
    ['DATASET_UNUSABLE'],
  )

  const found = async (query: string) =>
    (await get(`/v1/tasks/${task}/participants`, query)).body.items.map(({ label }: { label: string }) => label)
  assert.deepEqual(await found(''), ['north-0', 'north-1', 'north-2'])
  assert.deepEqual(await found('verdict=no-show'), ['north-2'])
  assert.deepEqual(await found('verdict=failed&code=DATASET_UNUSABLE&region=north&round=1&attempt=1'), ['north-1'])
  assert.deepEqual(await found(`device=${first}`), ['north-0'])
  assert.deepEqual(await found('round=2'), [])
  const { body } = await get(`/v1/tasks/${task}/participants`, `device=${first}`)
  assert.deepEqual([body.items[0].weight, body.items[0].seconds, body.items[0].bytes], [60, 0.5, 12])
  const unknown = await get(`/v1/tasks/${task}/rounds/2/participants/${second}`)
  assert.equal(unknown.body.code, 'NOT_FOUND')
  assert.equal((await get(`/v1/tasks/${task}/participants`, 'verdict=great')).body.code, 'QUERY_INVALID')
})
