import { TributaryError } from '@tributary/contracts/errors'
import type * as z from 'zod'

/** The position after the last row of a page, opaque to callers. */
export const encodeCursor = (position: unknown): string => Buffer.from(JSON.stringify(position)).toString('base64url')

/**
 * Reads a cursor that came from outside.
 * @throws TributaryError QUERY_INVALID
 */
export const decodeCursor = <Schema extends z.ZodType>(
  cursor: string | undefined,
  schema: Schema,
): z.output<Schema> | null => {
  if (cursor === undefined) return null
  try {
    return schema.parse(JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8')))
  } catch (cause) {
    throw new TributaryError('QUERY_INVALID', { detail: 'cursor: take it from `next` of the page before', cause })
  }
}

/**
 * A page of the rows that a query with `limit + 1` gave: `next` is set where there are more.
 */
export const pageOf = <Row, Item>(
  rows: readonly Row[],
  limit: number,
  { item, position }: { item: (row: Row) => Item; position: (row: Row) => unknown },
): { items: Item[]; next: string | null } => {
  const shown = rows.slice(0, limit)
  const last = shown.at(-1)
  return {
    items: shown.map(item),
    next: rows.length > limit && last !== undefined ? encodeCursor(position(last)) : null,
  }
}
