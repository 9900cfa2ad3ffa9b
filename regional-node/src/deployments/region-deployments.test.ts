import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DeploymentDescriptor } from '@tributary/contracts/deployments'
import * as fc from 'fast-check'
import { sampleDeployment, sampleKnownDevice } from '../testing/sample-deployment.ts'
import { RegionDeployments } from './region-deployments.ts'

const at = (seconds: number) => new Date(1_800_000_000_000 + seconds * 1000).toISOString()
const level = (seconds: number, ...deployments: DeploymentDescriptor[]) => ({
  time: at(seconds),
  region: 'north',
  deployments,
})
const device = sampleKnownDevice()
const modelId = (number: number) => `01890a5d-ac96-774b-bcce-00000000000${number}`
const served = (known: RegionDeployments, of = device) =>
  known.of(of).map(({ deployment, revision }) => `${deployment} r${revision}`)

test('a device serves the newest deployment of each model that is for it, and falls back when that goes', () => {
  const known = new RegionDeployments()
  const old = sampleDeployment({}, 1000)
  const canary = sampleDeployment({ share: 0.5 }, 2000)
  const other = sampleDeployment({ model: '01890a5d-ac96-774b-bcce-b302099a8058' }, 500)
  known.heard(level(0, old, canary, other))
  const devices = Array.from({ length: 200 }, () => sampleKnownDevice())
  const newer = devices.filter(of => served(known, of).includes(`${canary.deployment} r1`))
  assert.ok(newer.length > 60 && newer.length < 140, String(newer.length))
  for (const of of devices) {
    const wanted = newer.includes(of) ? canary : old
    assert.deepEqual(served(known, of), [`${wanted.deployment} r1`, `${other.deployment} r1`])
  }
  known.released({ ...canary, share: 0, revision: 2 }, at(1))
  for (const of of devices) assert.deepEqual(served(known, of), [`${old.deployment} r1`, `${other.deployment} r1`])
})

test('a command concerns the devices that serve another version by it, and no others', () => {
  let concerns = (_: typeof device): boolean => assert.fail('nothing was released')
  const known = new RegionDeployments(asked => {
    concerns = asked
  })
  const old = sampleDeployment({}, 1000)
  known.heard(level(0, old))
  const devices = Array.from({ length: 200 }, () => sampleKnownDevice())
  const byDevice = () => new Map(devices.map(of => [of, served(known, of).map(text => text.split(' ')[0])]))
  const canary = sampleDeployment({}, 2000)
  const steps = [
    { share: 0.1, revision: 1 },
    { share: 0.6, revision: 2 },
    { share: 0.6, revision: 3 },
    { share: 0, revision: 4 },
  ]
  const counts = steps.map((step, index) => {
    const before = byDevice()
    known.released({ ...canary, ...step }, at(index + 1))
    const after = byDevice()
    const moved = devices.filter(of => before.get(of)?.[0] !== after.get(of)?.[0])
    assert.deepEqual(devices.filter(concerns), moved)
    return moved.length
  })
  const [first = 0, second = 0, third, last] = counts
  assert.ok(first > 0 && second > first)
  assert.deepEqual([third, last], [0, first + second])
})

test('groups, labels and the region decide whom a deployment is for', () => {
  const known = new RegionDeployments()
  const target = { regions: ['north'], groups: ['a'], labels: { site: 'x' } }
  known.heard(level(0, sampleDeployment({ target })))
  assert.equal(served(known, sampleKnownDevice({ groups: ['a'], labels: { site: 'x' } })).length, 1)
  assert.equal(served(known, sampleKnownDevice({ groups: ['a'] })).length, 0)
  assert.equal(served(known, sampleKnownDevice({ groups: ['b'], labels: { site: 'x' } })).length, 0)
  known.heard({ ...level(1, sampleDeployment({ target })), region: 'south' })
  assert.equal(served(known, sampleKnownDevice({ groups: ['a'], labels: { site: 'x' } })).length, 0)
})

test('what an answer does not name any more is served no more, unless a command is newer than the answer', () => {
  const known = new RegionDeployments()
  const first = sampleDeployment()
  known.heard(level(0, first))
  assert.equal(known.released(sampleDeployment({ model: first.model }, 1), at(5)), false)
  assert.equal(known.of(device).length, 1)
  known.heard(level(4, first))
  // The command at 5 s is newer than the answer of 4 s.
  assert.equal(known.of(device).length, 1)
  known.heard(level(6))
  assert.deepEqual(known.of(device), [])
})

test('an answer that was read before a command does not take it back', () => {
  const known = new RegionDeployments()
  const first = sampleDeployment()
  known.heard(level(0, first))
  known.released({ ...first, share: 0, revision: 2 }, at(1))
  assert.deepEqual(known.of(device), [])
  known.heard(level(0.5, first))
  assert.deepEqual(known.of(device), [])
  known.heard(level(2))
  assert.deepEqual(known.of(device), [])
  assert.equal(known.find(first.deployment), undefined)
})

test('a command that comes late or twice changes nothing, and one of an unknown deployment is asked about', () => {
  const known = new RegionDeployments()
  const first = sampleDeployment({ revision: 3 })
  known.heard(level(10, first))
  assert.equal(known.released({ ...first, revision: 2, share: 0 }, at(11)), false)
  assert.equal(known.released({ ...first, share: 0 }, at(11)), false)
  assert.deepEqual(served(known), [`${first.deployment} r3`])
  assert.equal(known.released(sampleDeployment(), at(9)), true)
  assert.deepEqual(served(known), [`${first.deployment} r3`])
})

/** One change of central at each second: a deployment begins, or its share changes, to 0 for good. */
const Change = fc.record({ which: fc.nat(3), share: fc.constantFrom(0, 0.5, 1) })
/** What reaches the node: an answer that was read at some second, or the command of some change; late, twice or never. */
const News = fc.record({ kind: fc.constantFrom('answer', 'command'), second: fc.nat(11) })

test('whatever comes late, twice or never, the next answer makes the node know what central knows', () => {
  const bodies = [0, 1, 2, 3].map(number => sampleDeployment({ model: modelId(number) }, 1000 + number))
  fc.assert(
    fc.property(
      fc.array(Change, { minLength: 1, maxLength: 12 }),
      fc.array(News, { maxLength: 30 }),
      (changes, news) => {
        // Central after each change.
        const states: ReadonlyMap<string, DeploymentDescriptor>[] = [new Map()]
        for (const { which, share } of changes) {
          const body = bodies[which] as DeploymentDescriptor
          const now = new Map(states.at(-1))
          const known = now.get(body.deployment)
          const over = known?.share === 0
          if (!over) now.set(body.deployment, { ...body, share, revision: (known?.revision ?? 0) + 1 })
          states.push(now)
        }
        const liveAt = (second: number) => [...(states[second]?.values() ?? [])].filter(({ share }) => share > 0)
        const node = new RegionDeployments()
        // Answers come in their order, since a node asks again only after one has come.
        let heard = 0
        for (const { kind, second } of news) {
          if (kind === 'answer') {
            heard = Math.min(Math.max(heard, second), changes.length)
            node.heard(level(heard + 0.5, ...liveAt(heard)))
          } else {
            const told = states[second + 1]?.get(bodies[changes[second]?.which ?? 0]?.deployment ?? '')
            if (told !== undefined) node.released(told, at(second + 1))
          }
        }
        node.heard(level(changes.length + 1, ...liveAt(changes.length)))
        const known = bodies.flatMap(({ deployment }) => node.find(deployment) ?? [])
        const byId = (a: DeploymentDescriptor, b: DeploymentDescriptor) => (a.deployment < b.deployment ? -1 : 1)
        assert.deepEqual(known.sort(byId), liveAt(changes.length).sort(byId))
      },
    ),
  )
})
