import type { Fragment } from 'postgres'
import type { Sql } from '../database/transaction.ts'

/** A node of a plan as `explain (analyze, buffers, format json)` gives it. */
export type PlanNode = {
  readonly 'Node Type': string
  readonly 'Relation Name'?: string
  readonly 'Index Name'?: string
  readonly 'Actual Rows': number
  readonly 'Shared Hit Blocks': number
  readonly 'Shared Read Blocks': number
  readonly 'Temp Read Blocks': number
  readonly Plans?: readonly PlanNode[]
}

export type ExplainedQuery = {
  /** Every node of the plan, the root first. */
  readonly nodes: readonly PlanNode[]
  /**
   * Pages of 8 KiB that the query looked at, from memory, from disk or in files of its own: the work that it is, however busy the machine.
   * A page looked at twice counts twice.
   */
  readonly pages: number
  /** The plan, cut to what a failed assertion should show. */
  readonly text: string
}

/**
 * Runs a query and tells how Postgres did so. It runs twice: the first time writes hint bits and fills caches of the catalogue.
 * @param query given the connection that it will run on
 */
export const explainQuery = async (sql: Sql, query: (sql: Sql) => Fragment): Promise<ExplainedQuery> => {
  const run = async (): Promise<PlanNode> => {
    const [row] = await sql<{ 'QUERY PLAN': [{ Plan: PlanNode }] }[]>`
      explain (analyze, buffers, format json) ${query(sql)}`
    if (row === undefined) throw new Error('Postgres explained nothing.')
    return row['QUERY PLAN'][0].Plan
  }
  await run()
  const plan = await run()
  return {
    nodes: nodesOf(plan),
    pages: plan['Shared Hit Blocks'] + plan['Shared Read Blocks'] + plan['Temp Read Blocks'],
    text: JSON.stringify(plan).slice(0, 3000),
  }
}

const nodesOf = (plan: PlanNode): readonly PlanNode[] => [plan, ...(plan.Plans ?? []).flatMap(nodesOf)]
