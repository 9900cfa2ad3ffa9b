import { TributaryError } from '@tributary/contracts/errors'
import type { Context } from '../../context.ts'
import type { Handler } from '../../http/handler.ts'
import { attemptView } from './attempt-view.ts'
import { readAttempts } from './read-attempts.ts'
import { readCounts, readEvaluationShards, readShards } from './read-shards.ts'

const mostAttempts = 100
/** As many of each kind fit into the answer of a Lambda function. */
const mostShards = 5000

/** One round with its newest 100 attempts, oldest first: one flight of queries. @throws TributaryError NOT_FOUND */
export const getRound =
  ({ database }: Pick<Context, 'database'>): Handler<'getRound'> =>
  async ({ params: { task, round } }) => {
    const [attempts, shards, counts, evaluationShards] = await database.read(sql =>
      Promise.all([
        readAttempts(sql, task, round, mostAttempts),
        readShards(sql, task, round, mostShards),
        readCounts(sql, task, round),
        readEvaluationShards(sql, task, round, mostShards),
      ]),
    )
    if (attempts.length === 0) throw new TributaryError('NOT_FOUND')
    return {
      task,
      round,
      attempts: attempts.map(row =>
        attemptView(row, {
          shards: shards.filter(({ attempt }) => attempt === row.attempt),
          counts: counts.filter(({ attempt }) => attempt === row.attempt),
          evaluationShards: evaluationShards.filter(({ evaluation }) => evaluation === row.evaluation?.id),
        }),
      ),
    }
  }
