import { formatTextArray, parseTextArray } from './text-array.ts'

/**
 * How values of Postgres appear here, beside what postgres.js knows; numbers are OIDs of pg_type. It asks the catalog for no
 * other arrays (`fetchTypes`), so a column of another array type needs a line here.
 */
export const valueTypes = {
  // bigint columns are counts, sizes and sequences below 2^53; numeric stays text.
  safeBigint: {
    to: 20,
    from: [20],
    serialize: String,
    parse: (text: string): number => {
      const value = Number(text)
      if (!Number.isSafeInteger(value)) throw new RangeError(`A bigint of the database is beyond 2^53: ${text}`)
      return value
    },
  },
  textArray: { to: 1009, from: [1009], serialize: formatTextArray, parse: parseTextArray },
}

/**
 * For the option `fetch_types` of postgres.js 3.4: its query for array types, the first one of every connection, is awaited by
 * nobody. A connection cut during it (a failover) would end the process with an unhandled rejection.
 */
export const fetchTypes = false
