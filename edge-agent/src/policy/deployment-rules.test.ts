import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type DeploymentOfModel, deploymentRules } from './deployment-rules.ts'
import { Policy } from './policy.ts'

const lenet: DeploymentOfModel = {
  model: { id: '0190b5a0-0000-7000-8000-0000000000a1', name: 'lenet' },
  groups: ['labs'],
}
const noon = new Date('2026-11-25T12:00:00Z')
const night = { timeZone: 'UTC', windows: [{ from: '22:00', to: '06:00' }] }

/** Policy, what differs of the deployment, and the rule that refuses. */
const table: [unknown, Partial<DeploymentOfModel>, string | undefined][] = [
  [{}, {}, undefined],
  [{ models: { deny: ['le*'] } }, {}, 'deployments.models.deny'],
  [{ models: { allow: ['resnet'] } }, {}, 'deployments.models.allow'],
  [{ models: { allow: [lenet.model.id] } }, {}, undefined],
  [{ groups: { deny: ['labs'] } }, {}, 'deployments.groups.deny'],
  [{ groups: { allow: ['labs'] } }, {}, undefined],
  // One for every device names no group.
  [{ groups: { allow: ['labs'] } }, { groups: [] }, 'deployments.groups.allow'],
  [{ hours: night }, {}, 'deployments.hours'],
  [{ hours: { ...night, windows: [{ from: '08:00', to: '18:00' }] } }, {}, undefined],
]

test('each rule for deployments refuses by its name, and rules for work do not', () => {
  for (const [deployments, other, rule] of table) {
    const policy = Policy.parse({ deployments, models: { deny: ['*'] }, hours: night })
    assert.equal(deploymentRules(policy, noon).refusal({ ...lenet, ...other })?.rule, rule, JSON.stringify(deployments))
  }
})

test('the owner may set how much disk deployed versions take, in megabytes', () => {
  assert.equal(deploymentRules(Policy.parse({}), noon).mostBytes, undefined)
  assert.equal(deploymentRules(Policy.parse({ deployments: { diskMegabytes: 3 } }), noon).mostBytes, 3_000_000)
})
