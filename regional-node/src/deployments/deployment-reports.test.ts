import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { DeploymentStateSchema } from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import { v7 as uuidv7 } from 'uuid'
import { DeploymentReports } from './deployment-reports.ts'

const deployment = uuidv7()
const state = (text: string, fields: { revision?: number; detail?: string; deployment?: string } = {}) =>
  create(DeploymentStateSchema, { deployment, revision: 1, state: text, ...fields })
const begin = () => {
  const epochs = new Map([[0, 1]])
  const reports = new DeploymentReports({ epochOf: shard => epochs.get(shard) })
  return { epochs, reports, device: { device: uuidv7(), shard: 0 } }
}
const states = (reports: DeploymentReports) => reports.next().map(report => report.state)

test('a device that repeats itself is told of once, and again with every change', () => {
  const { reports, device } = begin()
  reports.heard(device, [state('pulling')])
  assert.deepEqual(reports.next(), [{ deployment, device: device.device, revision: 1, state: 'pulling' }])
  reports.confirmed()
  reports.heard(device, [state('pulling')])
  assert.deepEqual(states(reports), [])
  assert.equal(reports.heard(device, [state('unhealthy', { detail: 'no' })]), true)
  assert.equal(reports.heard(device, [state('unhealthy', { detail: 'no' })]), false, 'no news')
  assert.deepEqual(states(reports), ['unhealthy'])
  reports.confirmed()
  reports.heard(device, [state('unhealthy', { detail: 'no', revision: 2 })])
  assert.deepEqual(states(reports), ['unhealthy'])
})

test('what a call that failed carried comes with the next, and what changed meanwhile too', () => {
  const { reports, device } = begin()
  const other = { device: uuidv7(), shard: 0 }
  reports.heard(device, [state('pulling')])
  assert.deepEqual(states(reports), ['pulling'])
  assert.deepEqual(states(reports), ['pulling'])
  reports.heard(device, [state('serving')])
  reports.heard(other, [state('pulling')])
  assert.equal(reports.hasMore, true)
  reports.confirmed()
  assert.deepEqual(states(reports), ['serving', 'pulling'])
  assert.equal(reports.hasMore, false)
  reports.confirmed()
  assert.deepEqual(states(reports), [])
})

test('another epoch of the shard voids what was told', () => {
  const { reports, device, epochs } = begin()
  reports.heard(device, [state('serving')])
  reports.next()
  reports.confirmed()
  epochs.set(0, 2)
  reports.heard(device, [state('serving')])
  assert.deepEqual(states(reports), ['serving'])
})

test('a page takes what a status call takes, and the rest follows', () => {
  const { reports } = begin()
  for (let index = 0; index < 1200; index += 1) reports.heard({ device: uuidv7(), shard: 0 }, [state('serving')])
  const sizes = []
  do {
    sizes.push(reports.next().length)
    reports.confirmed()
  } while (reports.hasMore)
  assert.deepEqual(sizes, [500, 500, 200])
})

test('nothing malformed leaves the node, and long details are cut', () => {
  const { reports, device } = begin()
  reports.heard(device, [
    state('dancing'),
    state('serving', { revision: 0 }),
    state('serving', { deployment: '../etc' }),
    state('unhealthy', { detail: 'x'.repeat(2000) }),
  ])
  const page = reports.next()
  assert.deepEqual(
    page.map(report => [report.state, report.detail?.length]),
    [['unhealthy', 500]],
  )
})

test('a page is bounded in bytes, also where a character takes several', () => {
  const { reports } = begin()
  const detail = '界'.repeat(500)
  for (let index = 0; index < 400; index += 1)
    reports.heard({ device: uuidv7(), shard: 0 }, [state('unhealthy', { detail })])
  const page = reports.next()
  assert.ok(page.length > 100 && reports.hasMore)
  assert.ok(Buffer.byteLength(JSON.stringify(page)) <= 256 * 1024)
})
