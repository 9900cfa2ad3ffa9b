import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EvaluationDescriptor, MetricSums, RoundDescriptor } from '@tributary/contracts/round'
import { runDueWork } from '../rounds/due-work.ts'
import { tasksHandlers } from '../tasks/tasks-handlers.ts'
import { checkInvariants } from '../testing/check-invariants.ts'
import { exampleSum } from '../testing/example-model.ts'
import type { RoundFederation } from '../testing/round-federation.ts'
import { testApi, tokens } from '../testing/test-api.ts'
import { testServices } from '../testing/test-services.ts'

const services = testServices()
const some = { sum: exampleSum([30, 180, -20], 7n), weight: 100, accepted: 2 }

const begin = async (settings: Record<string, unknown>) => {
  const federation = await services.begin({ north: { trainers: 2, evaluators: 1 } })
  await federation.comeUp()
  const fields = { rounds: 9, evaluation: { dataset: 'mnist-test' }, ...settings }
  const { id } = await federation.createTask(fields)
  return { federation, id }
}
const commitRound = async (federation: RoundFederation): Promise<void> => {
  const descriptor = (await federation.commands('round.opened')).at(-1)?.data as unknown as RoundDescriptor
  await federation.deliver(await federation.summed(descriptor, some))
  await federation.runMerges()
}
/** The evaluators of a round report. */
const evaluate = async (
  federation: RoundFederation,
  round: number,
  correct: number,
  loss: number,
  counts: MetricSums = {},
): Promise<void> => {
  const opened = (await federation.commands('evaluation.opened')).map(
    ({ data }) => data as unknown as EvaluationDescriptor,
  )
  const { evaluation, shards } = opened.find(found => found.round === round) as EvaluationDescriptor
  const [shard] = shards
  await federation.deliver(
    federation.event('evaluation.summed', {
      evaluation,
      region: 'north',
      shard: 0,
      epoch: shard?.epoch as number,
      node: federation.nodeOf('north').id,
      evaluators: 1,
      metrics: {
        examples: '100',
        correct: String(correct),
        loss_q20: String(Math.round(loss * 100 * 2 ** 20)),
        ...counts,
      },
    }),
  )
}

test('a target ends the task with its current version, and the round in flight is dropped', async () => {
  const { federation, id } = await begin({ stop: { target: { metric: 'accuracy', value: 0.9 } } })
  await commitRound(federation)
  await evaluate(federation, 1, 89, 0.5)
  await commitRound(federation)
  const before = await federation.getTask(id)
  assert.deepEqual([before.state, before.rounds.committed, before.history.at(-1)?.state], ['running', 2, 'open'])
  await evaluate(federation, 2, 90, 0.4)
  const done = await federation.getTask(id)
  assert.deepEqual([done.state, done.currentVersion], ['completed', before.currentVersion])
  assert.deepEqual(done.reason, { code: 'STOP_TARGET', detail: 'round 2 reached accuracy 0.9, wanted 0.9' })
  const last = done.history.at(-1)
  assert.deepEqual([last?.round, last?.state, last?.reason], [3, 'abandoned', 'STOPPED'])
  assert.deepEqual((await federation.commands('round.settled')).at(-1)?.data, {
    task: id,
    round: 3,
    attempt: 1,
    outcome: 'abandoned',
    reason: 'STOPPED',
  })
  assert.deepEqual(
    (await federation.commands('task.finished')).map(({ data }) => data),
    [{ task: id, state: 'completed' }],
  )
  await checkInvariants(services.db.sql)
})

test('a target may be any value of the sums, which the task shows with its rounds', async () => {
  const evaluation = { dataset: 'mnist-test', metrics: ['f1'] }
  const { federation, id } = await begin({ evaluation, stop: { target: { metric: 'f1Macro', value: 0.75 } } })
  await commitRound(federation)
  const [opened] = await federation.commands('evaluation.opened')
  assert.deepEqual(opened?.data.metrics, ['f1'])
  const counts = (agreed: number) => ({
    actual_0: '50',
    actual_7: '50',
    predicted_0: '50',
    predicted_7: '50',
    agreed_0: String(agreed),
    agreed_7: String(agreed),
  })
  await evaluate(federation, 1, 70, 0.5, counts(35))
  await commitRound(federation)
  const before = await federation.getTask(id)
  assert.deepEqual([before.state, before.history[0]?.results.f1Macro], ['running', 0.7])
  await evaluate(federation, 2, 80, 0.4, counts(40))
  const done = await federation.getTask(id)
  assert.deepEqual(done.reason, { code: 'STOP_TARGET', detail: 'round 2 reached f1Macro 0.8, wanted 0.75' })
  const call = testApi('tasks', tasksHandlers(federation.context), services.db)
  const { body } = await call('GET', `/v1/tasks/${id}/rounds/2`, { token: tokens.viewer })
  const [{ evaluation: shown }] = body.attempts
  assert.deepEqual([shown.results.balancedAccuracy, shown.metrics.agreed_7], [0.8, '40'])
  const audit = await services.db.sql<{ detail: { metrics: object } }[]>`
    select detail from audit_entry where action = 'evaluation.closed' order by sequence desc limit 1`
  assert.deepEqual(Object.keys(audit[0]?.detail.metrics ?? {}).toSorted(), ['correct', 'examples', 'loss_q20'])
})

test('an evaluation of many shards shows what was found once it is closed, and adds each name exactly', async () => {
  const { federation, id } = await begin({})
  await commitRound(federation)
  const { sql } = services.db
  const others = { examples: '10', confusion_3_3: '2', loss_q20: '9007199254740993' }
  await sql`
    insert into evaluation_shard (evaluation, region, shard, epoch, state, evaluators, metrics)
    select e.id, 'north', shard, 1, case when shard = 40 then 'open' else 'summed' end, 1,
      case when shard = 40 then '{}' else ${sql.json(others)} end
    from evaluation e cross join generate_series(1, 40) shard where e.task = ${id}`
  await evaluate(federation, 1, 70, 0.5, { confusion_3_3: '1', confusion_3_4: '5' })
  const shown = async () => {
    const [row] = await sql<{ state: string; metrics: MetricSums }[]>`
      select state, metrics from evaluation where task = ${id}`
    return row
  }
  assert.deepEqual(await shown(), { state: 'open', metrics: {} })
  await checkInvariants(sql)
  await sql`update evaluation set deadline = now() - interval '1 minute' where task = ${id}`
  await runDueWork(federation.context)
  assert.deepEqual(await shown(), {
    state: 'closed',
    metrics: {
      examples: '490',
      correct: '70',
      loss_q20: String(39n * 9007199254740993n + 50n * 2n ** 20n),
      confusion_3_3: '79',
      confusion_3_4: '5',
    },
  })
  const detail = await federation.getTask(id)
  assert.equal(detail.history[0]?.results.recallWeighted, 79 / 84)
  await checkInvariants(sql)
})

test('a task is refused that asks for what its loss does not have, or stops by what its evaluations do not find', async () => {
  const federation = await services.begin({ north: { trainers: 2, evaluators: 1 } })
  const call = testApi('tasks', tasksHandlers(federation.context), services.db)
  const create = async (fields: object) => {
    const model = { model: federation.model }
    const body = { name: 'x', model, cohort: { dataset: 'mnist' }, ...fields }
    const answer = await call('POST', '/v1/tasks', { token: tokens.operator, body })
    return [answer.status, answer.body.errors]
  }
  const evaluation = { dataset: 'mnist-test', metrics: ['rmse', 'auc'] }
  assert.deepEqual(await create({ trainer: { loss: 'mean-squared-error' }, evaluation }), [
    400,
    [{ path: 'evaluation.metrics.1', message: 'mean-squared-error has no auc; it has loss, mae, rmse, r2' }],
  ])
  const stop = { target: { metric: 'auc', value: 0.9 }, patience: { metric: 'f1Macro', rounds: 2 } }
  assert.deepEqual(await create({ evaluation: { dataset: 'mnist-test', metrics: ['auc'] }, stop }), [
    400,
    [
      {
        path: 'stop.patience.metric',
        message: 'evaluations of this task find no f1Macro: it is of f1 or confusion',
      },
    ],
  ])
})

test('an evaluation that arrives late ends a later round that merges, and the merge commits nothing', async () => {
  const { federation, id } = await begin({ stop: { patience: { metric: 'loss', rounds: 1 } } })
  await commitRound(federation)
  await commitRound(federation)
  const third = (await federation.commands('round.opened')).at(-1)?.data as unknown as RoundDescriptor
  await federation.deliver(await federation.summed(third, some))
  // The evaluation of the second round comes first; alone it says nothing.
  await evaluate(federation, 2, 50, 0.75)
  assert.equal((await federation.getTask(id)).state, 'running')
  await evaluate(federation, 1, 50, 0.5)
  await federation.runMerges()
  const done = await federation.getTask(id)
  assert.deepEqual([done.state, done.reason?.code, done.rounds.committed], ['completed', 'STOP_PATIENCE', 2])
  assert.equal((await services.db.sql`select 1 from model_version where task = ${id}`).length, 2)
  await checkInvariants(services.db.sql)
})

test('divergence fails the task, whose version before stays; it can be retried', async () => {
  const { federation, id } = await begin({ stop: { divergence: { factor: 2 } } })
  await commitRound(federation)
  await evaluate(federation, 1, 50, 0.5)
  await commitRound(federation)
  await evaluate(federation, 2, 10, 1.25)
  const failed = await federation.getTask(id)
  assert.deepEqual([failed.state, failed.reason?.code, failed.rounds.committed], ['failed', 'DIVERGED', 2])
  assert.match(failed.reason?.detail ?? '', /^round 2: the loss is 1.25, more than 2 times the lowest so far, 0.5$/)
  assert.equal(failed.history.at(-1)?.reason, 'STOPPED')
  const call = testApi('tasks', tasksHandlers(federation.context), services.db)
  const { body } = await call('POST', `/v1/tasks/${id}/retry`, { token: tokens.operator })
  assert.equal(body.state, 'running')
  await checkInvariants(services.db.sql)
})

test('a stop condition ends a paused task as well', async () => {
  const { federation, id } = await begin({ stop: { target: { metric: 'loss', value: 0.5 } } })
  await commitRound(federation)
  const call = testApi('tasks', tasksHandlers(federation.context), services.db)
  await call('POST', `/v1/tasks/${id}/pause`, { token: tokens.operator })
  await evaluate(federation, 1, 50, 0.5)
  assert.deepEqual([(await federation.getTask(id)).state], ['completed'])
  await checkInvariants(services.db.sql)
})

test('an evaluation that closes at its deadline is judged with what is in', async () => {
  const { federation, id } = await begin({ stop: { target: { metric: 'accuracy', value: 0.5 } } })
  await commitRound(federation)
  await services.db.sql`update evaluation set deadline = now() - interval '16 seconds'`
  await runDueWork(federation.context)
  assert.equal((await federation.getTask(id)).state, 'running', 'nobody evaluated it')
})

test('time ends a task in the middle of a round, by itself', async () => {
  const { federation, id } = await begin({ stop: { seconds: 60 } })
  await commitRound(federation)
  assert.equal(await runDueWork(federation.context), 0)
  await services.db.sql`update task set stop_at = stop_at - interval '60 seconds'`
  await runDueWork(federation.context)
  const done = await federation.getTask(id)
  assert.deepEqual([done.state, done.rounds.committed, done.history.at(-1)?.reason], ['completed', 1, 'STOPPED'])
  assert.deepEqual(done.reason, {
    code: 'STOP_SECONDS',
    detail: '60 s have passed since the start; 1 of 9 rounds were committed.',
  })
  await checkInvariants(services.db.sql)
})

test('a task that time ends before its first round says that its version is not trained', async () => {
  const { federation, id } = await begin({ stop: { seconds: 60 } })
  await services.db.sql`update task set stop_at = now()`
  await federation.status(federation.nodeOf('north'))
  const done = await federation.getTask(id)
  assert.deepEqual([done.state, done.currentVersion], ['completed', federation.version])
  assert.match(
    done.reason?.detail ?? '',
    /no round was committed, so the current version is the one that the task began/,
  )
})

test('no round opens after the time of a task, and being paused does not stop the clock', async () => {
  const { federation, id } = await begin({ stop: { seconds: 60 } })
  const call = testApi('tasks', tasksHandlers(federation.context), services.db)
  await call('POST', `/v1/tasks/${id}/pause`, { token: tokens.operator })
  await services.db.sql`update task set stop_at = now()`
  await runDueWork(federation.context)
  assert.equal((await federation.getTask(id)).state, 'paused')
  const { body } = await call('POST', `/v1/tasks/${id}/resume`, { token: tokens.operator })
  assert.deepEqual([body.state, body.reason.code], ['completed', 'STOP_SECONDS'])
  await checkInvariants(services.db.sql)
})

test('with a share of the cohort evaluations open also where only trainers are', async () => {
  const federation = await services.begin({
    north: { trainers: 2, evaluators: 1 },
    south: { trainers: 2 },
    west: { trainers: 0 },
  })
  await federation.comeUp()
  const evaluation = { dataset: 'mnist-test' }
  for (const [cohortShare, expected] of [
    [0, ['north']],
    [0.25, ['north', 'south']],
  ] as const) {
    await services.db.sql`truncate outbox`
    await federation.createTask({
      evaluation: { ...evaluation, cohortShare },
      cohort: { dataset: 'mnist', size: { quorum: 4 } },
    })
    for (const { data } of await federation.commands('round.opened')) {
      await federation.deliver(await federation.summed(data as unknown as RoundDescriptor, some))
    }
    await federation.runMerges()
    const opened = await federation.commands('evaluation.opened')
    assert.deepEqual(
      opened.map(({ region }) => region),
      expected,
    )
    for (const { data } of opened) assert.equal(data.cohortShare, cohortShare === 0 ? undefined : cohortShare)
  }
})
