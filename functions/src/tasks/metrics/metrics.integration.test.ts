import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { after, before, suite, test } from 'node:test'
import type { RoundMetrics } from '@tributary/contracts/task-views'
import type { Context } from '../../context.ts'
import { testApi, testParts, tokens } from '../../testing/test-api.ts'
import { startTestDatabase, type TestDatabase } from '../../testing/test-database.ts'
import { tasksHandlers } from '../tasks-handlers.ts'

const idOf = (n: number): string => `01890a5d-ac96-774b-bcce-${n.toString(16).padStart(12, '0')}`
const [task, model, base, first, second, long] = [1, 2, 3, 4, 5, 6].map(idOf) as [
  string,
  string,
  string,
  string,
  string,
  string,
]
const name = '=evil", "name\nwith: lines'

suite('metrics of a task', { timeout: 120_000 }, () => {
  const resources = new AsyncDisposableStack()
  let db: TestDatabase
  let call: ReturnType<typeof testApi>
  before(async () => {
    db = resources.use(await startTestDatabase())
    const { sql, database } = db
    call = testApi('tasks', tasksHandlers(testParts(database) as unknown as Context), { database })
    await sql`insert into region (region, name, shard_count) values ('north', 'n', 1), ('south', 's', 1)`
    await sql`insert into region_shard (region, shard) values ('north', 0), ('south', 0)`
    await sql`insert into model (id, name, created_by) values (${model}, '2nn', 'x')`
    for (const [id, number, parent] of [
      [base, 0, null],
      [first, 1, base],
      [second, 2, first],
    ] as const) {
      await sql`
        insert into model_version (id, model, number, state, parent, weights_key, weights_sha256, weights_bytes, manifest_key,
          manifest_sha256, manifest_bytes, created_by)
        values (${id}, ${model}, ${number}, 'ready', ${parent}, 'k', ${'a'.repeat(64)}, 1, 'k', 'x', 1, 'x')`
    }
    const settings = { name, rounds: 3, trainer: { learningRate: 0.05 }, regions: ['north', 'south'], startAt: null }
    for (const id of [task, long]) {
      await sql`
        insert into task (id, name, state, model, start_version, current_version, rounds_wanted, settings, seed, created_at,
          started_at, created_by)
        values (${id}, ${name}, 'running', ${model}, ${base}, ${second}, 3, ${sql.json(settings)}, '00',
          '2026-03-01T10:00:00Z', '2026-03-01T10:00:01Z', 'token:=me')`
    }
    const attempt = (round: number, number: number, state: string, version: string | null) => sql`
      insert into round_attempt (task, round, attempt, state, base_version, version, goal, selected, descriptor, opened_at,
        deadline, settled_at)
      values (${task}, ${round}, ${number}, ${state}, ${base}, ${version}, 4, 4, '{}', '2026-03-01T10:00:00Z', now(),
        ${state === 'open' ? null : '2026-03-01T10:00:02.5Z'})`
    await attempt(1, 1, 'abandoned', null)
    await attempt(1, 2, 'committed', first)
    await attempt(2, 1, 'committed', second)
    await attempt(3, 1, 'open', null)
    const shard = (round: number, number: number, region: string, examples: string, lossQ20: string) => sql`
      insert into attempt_shard (task, round, attempt, region, shard, epoch, state, goal, to_select, selected, accepted, empty,
        weight, metrics)
      values (${task}, ${round}, ${number}, ${region}, 0, 1, 'summed', 2, 2, 2, 1, 1, ${examples},
        ${sql.json({ examples, loss_q20: lossQ20, steps: '9007199254740993' })})`
    await shard(1, 2, 'north', '60', String(30 * 2 ** 20))
    await shard(1, 2, 'south', '40', String(40 * 2 ** 20))
    await shard(2, 1, 'north', '0', '0')
    await sql`
      insert into participation (task, round, attempt, device, region, label, verdict, bytes, seconds) values
      (${task}, 1, 2, ${idOf(8)}, 'north', 'd', 'accepted', 100, 1.5), (${task}, 1, 2, ${idOf(9)}, 'south', 'e', 'late', 50, 2)`
    const metrics = {
      examples: '8',
      correct: '6',
      loss_q20: String(4 * 2 ** 20),
      confusion_0_0: '6',
      confusion_0_1: '2',
    }
    await sql`
      insert into evaluation (id, version, task, round, state, descriptor, metrics, deadline) values
      (${idOf(7)}, ${first}, ${task}, 1, 'closed', '{}', ${sql.json(metrics)}, now()),
      (${idOf(8)}, ${second}, ${task}, 2, 'closed', '{}', '{}', now())`
    await sql`
      insert into round_attempt (task, round, attempt, state, base_version, goal, selected, descriptor, deadline)
      select ${long}, round, 1, 'abandoned', ${base}, 1, 1, '{}', now() from generate_series(1, 12000) as round`
  })
  after(() => resources.disposeAsync())

  const get = (query: string, of = task) => call('GET', `/v1/tasks/${of}/metrics`, { token: tokens.viewer, query })

  test('are a series a round, where a gap is null with 0 examples', async () => {
    const { body } = await get('')
    assert.equal(body.next, null)
    const [one, two, three] = body.rounds as [RoundMetrics, RoundMetrics, RoundMetrics]
    assert.deepEqual(one, {
      round: 1,
      attempt: 2,
      attempts: 2,
      state: 'committed',
      version: first,
      openedAt: '2026-03-01T10:00:00.000Z',
      settledAt: '2026-03-01T10:00:02.500Z',
      seconds: 2.5,
      accuracy: 0.75,
      loss: 0.5,
      evaluatedExamples: 8,
      // Class 0 has 6 of 8 right; class 1 is predicted twice and nowhere a label.
      results: {
        accuracy: 0.75,
        loss: 0.5,
        balancedAccuracy: 0.75,
        precisionMacro: 0.5,
        recallMacro: 0.375,
        f1Macro: 6 / 7 / 2,
        precisionWeighted: 1,
        recallWeighted: 0.75,
        f1Weighted: 6 / 7,
        f1Micro: 0.75,
      },
      // (30 + 40) / (60 + 40)
      trainingLoss: 0.7,
      trainingExamples: 100,
      selected: 4,
      accepted: 2,
      refused: 0,
      empty: 2,
      weight: 100,
      uploadBytes: 150,
      deviceSeconds: 3.5,
      training: { examples: '100', loss_q20: String(70 * 2 ** 20), steps: '18014398509481986' },
      evaluation: { examples: '8', correct: '6', loss_q20: String(4 * 2 ** 20) },
    })
    assert.deepEqual([two.accuracy, two.loss, two.evaluatedExamples, two.trainingLoss], [null, null, 0, null])
    assert.deepEqual(
      [three.state, three.seconds, three.weight, three.trainingLoss, three.selected],
      ['open', null, null, null, 4],
    )
  })

  test('are a CSV with a line a round, exact sums, and no columns for confusion counts', async () => {
    const { body, headers } = await get('format=csv')
    assert.equal(headers['content-type'], 'text/csv; charset=utf-8')
    assert.equal(headers['content-disposition'], `attachment; filename="task-${task}.csv"`)
    const lines = (body as string).split('\r\n').map(line => line.split(','))
    const column = (header: string) => lines.slice(1, 4).map(line => line[lines[0]?.indexOf(header) ?? -1])
    assert.deepEqual(column('round'), ['1', '2', '3'])
    assert.deepEqual(column('accuracy'), ['0.75', '', ''])
    assert.deepEqual(column('f1Micro'), ['0.75', '', ''])
    assert.deepEqual(column('training_steps'), ['18014398509481986', '9007199254740993', ''])
    assert.deepEqual(column('evaluation_correct'), ['6', '', ''])
    assert.equal(
      lines[0]?.some(header => header.includes('confusion')),
      false,
    )
    assert.equal(lines[4]?.join(), '')
  })

  test('are a run of an MLflow file store', async () => {
    const { body, headers } = await get('format=mlflow')
    assert.equal(headers['content-type'], 'application/x-tar')
    const archive = Buffer.from(body as string, 'base64')
    const tar = (...args: string[]) => execFileSync('tar', args, { input: archive, encoding: 'utf8' })
    const paths = tar('-tf', '-').trimEnd().split('\n')
    const run =
      paths.find(path => path.endsWith(`${task.replaceAll('-', '')}/meta.yaml`))?.replace('/meta.yaml', '') ?? ''
    assert.match(run, /^mlruns\/[1-9]\d{17}\/[0-9a-f]{32}$/)
    for (const folder of ['params', 'tags', 'metrics', 'artifacts']) assert.ok(paths.includes(`${run}/${folder}/`))
    const read = (path: string) => tar('-xOf', '-', `${run}/${path}`)
    const settled = Date.parse('2026-03-01T10:00:02.5Z')
    assert.equal(read('metrics/accuracy'), `${settled} 0.75 1\n`)
    assert.equal(read('metrics/recallMacro'), `${settled} 0.375 1\n`)
    assert.equal(read('metrics/attempts'), `${settled} 2 1\n${settled} 1 2\n${settled - 2500} 1 3\n`)
    assert.equal(read('params/trainer.learningRate'), '0.05')
    assert.equal(read('params/regions'), '["north","south"]')
    assert.equal(read('params/name'), '=evil", "name with: lines')
    assert.equal(read('tags/mlflow.runName'), name)
    assert.match(read('meta.yaml'), /^run_name: "=evil\\", \\"name\\nwith: lines"$/m)
    assert.equal(
      paths.some(path => path.includes('startAt') || path.includes('confusion')),
      false,
    )
  })

  test('of long tasks come in parts that fit into an answer, in every format', async () => {
    const parts = [await get('', long)]
    for (let next = parts[0]?.body.next; next !== null; next = parts.at(-1)?.body.next)
      parts.push(await get(`from=${next}`, long))
    assert.deepEqual(
      parts.flatMap(({ body }) => body.rounds.map(({ round }: RoundMetrics) => round)),
      Array.from({ length: 12_000 }, (_, index) => index + 1),
    )
    const text = await get('format=csv&from=11001&most=600', long)
    assert.equal((text.body as string).split('\r\n').length, 602)
    assert.equal(text.headers.link, `</v1/tasks/${long}/metrics?format=csv&from=11601&most=600>; rel="next"`)
    const archive = await get('format=mlflow', long)
    assert.ok((archive.body as string).length < 6 * 1024 * 1024)
    assert.equal((await get('format=xml')).body.code, 'QUERY_INVALID')
  })
})
