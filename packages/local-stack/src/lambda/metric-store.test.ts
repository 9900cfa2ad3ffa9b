import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMetricLine, MetricStore } from './metric-store.ts'

const line = (fields: Record<string, unknown>, directives: readonly [name: string, dimensions: readonly string[]][]) =>
  JSON.stringify({
    _aws: {
      Timestamp: 1,
      CloudWatchMetrics: directives.map(([Name, names]) => ({
        Namespace: 'Tributary',
        Dimensions: [names],
        Metrics: [{ Name, Unit: 'Count' }],
      })),
    },
    ...fields,
  })

test('counters add up by their labels, gauges keep the last value, milliseconds become seconds', () => {
  const store = new MetricStore()
  const request = (status: string, millis: number) =>
    store.take(
      line({ function: 'tasks', route: 'getTask', status, Requests: 1, RequestDuration: millis }, [
        ['Requests', ['function', 'route', 'status']],
        ['RequestDuration', ['function', 'route']],
      ]),
    )
  request('200', 3)
  request('200', 30)
  request('404', 4000)
  for (const seconds of [7, 2]) store.take(line({ OutboxLag: seconds }, [['OutboxLag', []]]))
  const lines = store.text().split('\n')
  for (const wanted of [
    '# TYPE tributary_requests_total counter',
    'tributary_requests_total{function="tasks",route="getTask",status="200"} 2',
    'tributary_requests_total{function="tasks",route="getTask",status="404"} 1',
    'tributary_request_duration_seconds_bucket{function="tasks",route="getTask",le="0.0025"} 0',
    'tributary_request_duration_seconds_bucket{function="tasks",route="getTask",le="0.005"} 1',
    'tributary_request_duration_seconds_bucket{function="tasks",route="getTask",le="0.05"} 2',
    'tributary_request_duration_seconds_bucket{function="tasks",route="getTask",le="+Inf"} 3',
    'tributary_request_duration_seconds_count{function="tasks",route="getTask"} 3',
    'tributary_request_duration_seconds_sum{function="tasks",route="getTask"} 4.033',
    'tributary_outbox_lag_seconds 2',
  ]) {
    assert.ok(lines.includes(wanted), wanted)
  }
})

test('what is no measurement of the table changes nothing, and a value cannot break out of its label', () => {
  const store = new MetricStore()
  const empty = store.text()
  for (const text of [
    '{"_aws":',
    '{"_aws":{}}',
    line({ Other: 1 }, [['Other', []]]),
    line({ Requests: 'x' }, [['Requests', []]]),
  ]) {
    store.take(text)
  }
  assert.equal(store.text(), empty)
  store.take(line({ reason: 'a"} 9\nevil 1\\', RoundsAbandoned: 1 }, [['RoundsAbandoned', ['reason']]]))
  assert.ok(store.text().includes('tributary_rounds_abandoned_total{reason="a\\"} 9\\nevil 1\\\\"} 1\n'))
  assert.equal(isMetricLine('{"level":30}'), false)
  assert.equal(isMetricLine(line({}, [])), true)
})
