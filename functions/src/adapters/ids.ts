import { v7 } from 'uuid'

/** Mints ids: UUID version 7 (RFC 9562), so that order by id is order by time. */
export type Ids = { next(): string }

export const uuidV7Ids: Ids = { next: () => v7() }
