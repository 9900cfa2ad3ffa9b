import type { Context } from '../context.ts'
import type { Transaction } from '../database/transaction.ts'
import { readDescriptor } from './read-descriptors.ts'

/** Tells every region that a deployment concerns how it is now. */
export const announceDeployment = async (
  { outbox }: Pick<Context, 'outbox'>,
  sql: Transaction,
  deployment: string,
): Promise<void> => {
  const descriptor = await readDescriptor(sql, deployment)
  if (descriptor === null) return
  const { regions } = descriptor.target
  const rows = await sql<{ region: string }[]>`
    select region from region where ${regions.length === 0} or region = any(${regions}::text[]) order by region`
  for (const { region } of rows) await outbox.appendCommand(sql, region, 'model.released', descriptor)
}
