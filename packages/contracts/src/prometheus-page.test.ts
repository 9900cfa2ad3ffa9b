import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Histogram, PrometheusPage } from './prometheus-page.ts'

test('a page is lines of metrics with their samples, labels escaped', () => {
  const page = new PrometheusPage()
  page.metric('calls_total', 'counter', 'Calls.')
  page.sample('calls_total', { method: 'a"b\\c\nd', status: 'OK' }, 3)
  page.sample('calls_total', {}, 0.5)
  assert.equal(
    page.toString(),
    '# HELP calls_total Calls.\n# TYPE calls_total counter\ncalls_total{method="a\\"b\\\\c\\nd",status="OK"} 3\ncalls_total 0.5\n',
  )
})

test('a histogram counts what is at most each bound, and all of it in the last', () => {
  const histogram = new Histogram([1, 2])
  for (const value of [1, 1.5, 2, 7]) histogram.observe(value)
  const page = new PrometheusPage()
  histogram.write(page, 'seconds', { of: 'x' })
  assert.equal(
    page.toString(),
    [
      'seconds_bucket{of="x",le="1"} 1',
      'seconds_bucket{of="x",le="2"} 3',
      'seconds_bucket{of="x",le="+Inf"} 4',
      'seconds_sum{of="x"} 11.5',
      'seconds_count{of="x"} 4',
      '',
    ].join('\n'),
  )
})
