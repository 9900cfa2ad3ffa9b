import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  ATTEMPT_MOVES,
  type AttemptEvent,
  type AttemptState,
  canMoveAttempt,
  SETTLED_ATTEMPT_STATES,
} from './attempt-state.ts'
import { DEPLOYMENT_MOVES, type DeploymentEvent, LIVE_DEPLOYMENT_STATES } from './deployment-state.ts'
import { canMoveTask, FINAL_TASK_STATES, TASK_MOVES, type TaskEvent, type TaskState } from './task-state.ts'

const taskStates = ['draft', 'queued', 'running', 'paused', 'completed', 'failed', 'cancelled'] as const
const attemptStates = ['open', 'collecting', 'closing', 'committed', 'abandoned'] as const

const taskArrows = (from: TaskState) =>
  (Object.keys(TASK_MOVES) as TaskEvent[])
    .filter(event => canMoveTask(from, event))
    .map(event => `${event} ${TASK_MOVES[event].to}`)

const attemptArrows = (from: AttemptState) =>
  (Object.keys(ATTEMPT_MOVES) as AttemptEvent[])
    .filter(event => canMoveAttempt(from, event))
    .map(event => `${event} ${ATTEMPT_MOVES[event].to}`)

test('a task moves along the arrows of the design and no others', () => {
  assert.deepEqual(Object.fromEntries(taskStates.map(state => [state, taskArrows(state)])), {
    draft: ['start queued', 'cancel cancelled'],
    queued: ['run running', 'complete completed', 'fail failed', 'cancel cancelled'],
    running: ['pause paused', 'complete completed', 'fail failed', 'cancel cancelled'],
    paused: ['resume queued', 'complete completed', 'fail failed', 'cancel cancelled'],
    completed: [],
    failed: ['retry queued'],
    cancelled: [],
  })
  for (const state of taskStates) {
    assert.equal(FINAL_TASK_STATES.includes(state), !canMoveTask(state, 'cancel'))
  }
})

test('an attempt moves forward, or is abandoned until it is settled', () => {
  assert.deepEqual(Object.fromEntries(attemptStates.map(state => [state, attemptArrows(state)])), {
    open: ['collect collecting', 'abandon abandoned'],
    collecting: ['close closing', 'abandon abandoned'],
    closing: ['commit committed', 'abandon abandoned'],
    committed: [],
    abandoned: [],
  })
  assert.deepEqual(
    attemptStates.filter(state => attemptArrows(state).length === 0),
    SETTLED_ATTEMPT_STATES,
  )
})

test('a deployment moves along these arrows and no others', () => {
  const states = ['rolling-out', 'paused', 'released', 'rolled-back', 'superseded'] as const
  const arrows = states.map(state => [
    state,
    (Object.keys(DEPLOYMENT_MOVES) as DeploymentEvent[])
      .filter(event => DEPLOYMENT_MOVES[event].from.includes(state))
      .map(event => `${event} ${DEPLOYMENT_MOVES[event].to}`),
  ])
  assert.deepEqual(Object.fromEntries(arrows), {
    'rolling-out': [
      'advance rolling-out',
      'pause paused',
      'release released',
      'roll-back rolled-back',
      'supersede superseded',
    ],
    paused: ['resume rolling-out', 'release released', 'roll-back rolled-back', 'supersede superseded'],
    released: ['roll-back rolled-back', 'supersede superseded'],
    'rolled-back': [],
    superseded: ['restore released'],
  })
  assert.deepEqual(LIVE_DEPLOYMENT_STATES, DEPLOYMENT_MOVES.supersede.from)
})
