import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Metric, metrics, prometheusName } from '@tributary/contracts/metrics'
import { emfMetrics } from './metrics.ts'
import { stateMetrics } from './state-metrics.ts'

const written = () => {
  const lines: string[] = []
  return {
    lines,
    metrics: emfMetrics(
      'tasks',
      line => lines.push(line),
      () => 1_700_000_000_000,
    ),
  }
}

test('samples are one line in the embedded metric format, each with its own dimensions', () => {
  const { lines, metrics } = written()
  metrics.add({ Requests: 1, RequestDuration: 12.5 }, { route: 'getTask', status: '200' })
  // By the text of the specification, not by a library.
  assert.deepEqual(
    lines.map(line => JSON.parse(line)),
    [
      {
        _aws: {
          Timestamp: 1_700_000_000_000,
          CloudWatchMetrics: [
            {
              Namespace: 'Tributary',
              Dimensions: [['function', 'route', 'status']],
              Metrics: [{ Name: 'Requests', Unit: 'Count' }],
            },
            {
              Namespace: 'Tributary',
              Dimensions: [['function', 'route']],
              Metrics: [{ Name: 'RequestDuration', Unit: 'Milliseconds' }],
            },
          ],
        },
        function: 'tasks',
        route: 'getTask',
        status: '200',
        Requests: 1,
        RequestDuration: 12.5,
      },
    ],
  )
  metrics.add({ OutboxLag: Number.NaN })
  assert.equal(lines.length, 1, 'no line without a number')
})

test('committed and abandoned rounds and ended tasks are counted by what the audit trail says', () => {
  const { lines, metrics } = written()
  const count = stateMetrics(metrics)
  const entry = (action: string, detail = {}) => count({ actor: 'system', action, subject: 'x', detail })
  entry('attempt.committed')
  entry('attempt.abandoned', { reason: { code: 'QUORUM_MISSED' } })
  entry('attempt.closing')
  entry('task.failed', { reason: { code: 'DIVERGED' } })
  entry('task.queued')
  assert.deepEqual(
    lines.map(line => JSON.parse(line)).map(({ _aws, function: _, ...rest }) => rest),
    [{ RoundsCommitted: 1 }, { reason: 'QUORUM_MISSED', RoundsAbandoned: 1 }, { state: 'failed', TasksEnded: 1 }],
  )
})

test('names are as CloudWatch and Prometheus take them, and no two are equal', () => {
  const names = Object.keys(metrics) as (keyof typeof metrics)[]
  assert.equal(new Set(names.map(prometheusName)).size, names.length)
  assert.equal(prometheusName('RequestDuration'), 'tributary_request_duration_seconds')
  assert.equal(prometheusName('RoundsAbandoned'), 'tributary_rounds_abandoned_total')
  assert.equal(prometheusName('MergeThroughput'), 'tributary_merge_throughput_megabytes_per_second')
  for (const name of names) {
    assert.match(prometheusName(name), /^[a-z_]+$/)
    assert.ok((metrics[name] as Metric).dimensions.length <= 3, name)
  }
})
